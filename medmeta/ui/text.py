"""Words on the pages: hostile text made harmless, numbers and times made readable."""

from __future__ import annotations

import re
import time

_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$:<>&=\"'^/@])")


def md(text: object) -> str:
    """Text of a stranger (a label, a file name, an error) for a place that renders Markdown.

    Every character Markdown, HTML, LaTeX or Streamlit's directives act on is escaped, lines are joined, and
    a word joiner keeps web and mail addresses from turning into links.
    """
    line = re.sub(
        r"[^\S\u00a0]+", " ", str(text)
    ).strip()  # a no-break space keeps a number and its unit together
    line = re.sub(r"(?i)(:)(?=//)|(www)(?=\.)|(@)", lambda found: found.group(0) + "\u2060", line)
    return _PUNCTUATION.sub(r"\\\1", line)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``3 scans``, ``1 scan``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def ago(moment: float, now: float | None = None) -> str:
    """How long ago, in the largest fitting unit."""
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{count(int(seconds // size), name)} ago"
    return "just now"


def duration(seconds: float) -> str:
    """``4.2 s``, ``1 min 05 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def clock(moment: float) -> str:
    """Local date and time."""
    return time.strftime("%d %b %Y, %H:%M", time.localtime(moment))


def likeness(similarity: float) -> str:
    """Cosine of two scans in words a person can weigh."""
    return f"{similarity:.2f}"
