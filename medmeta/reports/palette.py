"""Colours that people with any kind of colour vision tell apart, on light and on dark ground."""

from __future__ import annotations

import html
import re
import textwrap

#: Okabe and Ito's colours without black and yellow, which vanish on one of the two grounds.
#: Okabe M, Ito K. Color Universal Design, 2008.
CLASS_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
#: Beyond six classes the colours come again with another line.
DASHES = ("solid", "dash", "dot", "dashdot")
#: The model in question, and the simple methods beside it.
OURS, OTHERS = "#0072B2", "#8A8F98"
#: The ring around a chosen cell.
CHOSEN = "#D55E00"
GRID = "rgba(128, 128, 128, 0.25)"
CLEAR = "rgba(0, 0, 0, 0)"


def class_colour(index: int) -> str:
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def class_dash(index: int) -> str:
    return DASHES[index // len(CLASS_COLOURS) % len(DASHES)]


def shortened(text: str, width: int) -> str:
    """At most ``width`` characters, with an ellipsis where something was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"


def plotly_text(text: str, width: int = 16, lines: int = 3) -> str:
    """A label as plotly shows it: escaped, because plotly reads HTML tags, and wrapped."""
    wrapper = textwrap.TextWrapper(width, max_lines=lines, placeholder=" …")
    wrapper.wordsep_re = re.compile(
        r"(\s+|\S*?[_-](?=\w))"
    )  # labels come from folders: break_after_underscores
    wrapped = wrapper.wrap(text) or [""]
    return "<br>".join(html.escape(line, quote=False) for line in wrapped)
