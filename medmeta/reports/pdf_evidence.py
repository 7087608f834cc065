"""The further figures, disputed labels and next steps on the pages of the PDF report."""

from __future__ import annotations

from medmeta.evaluation.result import Evaluation
from medmeta.reports import evidence
from medmeta.reports.palette import shortened
from medmeta.reports.pdf_page import MUTED, Page

#: More classes than this make a table of figures nobody reads on paper; the HTML report has them all.
CLASSES = 4


def further(page: Page, evaluation: Evaluation) -> None:
    """A table of the figures that are given, and below it why the others are not."""
    known = set(evaluation.classes[:CLASSES]) | {""}
    rows = [row for row in evidence.figure_rows(evaluation) if row.of in known]
    given = [row for row in rows if row.value != "–"]
    if not rows:
        return
    page.heading("More figures", room=40)
    if len(evaluation.classes) > CLASSES:
        page.say(
            f"Of the first {CLASSES} classes; the HTML report has those of all {len(evaluation.classes)}.",
            size=9,
            colour=MUTED,
        )
    if given:
        page.rows(
            ("Figure", "Class", "Value", "95 % interval", "In plain words"),
            [(row.name, shortened(row.of or "all", 40), row.value, row.interval, row.plain) for row in given],
            (42, 28, 16, 26, 62),
        )
    withheld: dict[str, list[str]] = {}
    for row in rows:
        if row.value == "–":
            of = f" of {shortened(row.of, 40)}" if row.of else ""
            withheld.setdefault(row.plain, []).append(f"{row.name}{of}")
    for reason, names in withheld.items():
        page.say(f"{'; '.join(names)}. {reason}", size=8.5, colour=MUTED, after=0.6)


def suspects(page: Page, evaluation: Evaluation) -> None:
    """The labels worth a second look."""
    if not evaluation.suspects:
        return
    page.heading("Labels worth a second look", room=30)
    page.say(evidence.SUSPECTS_HELP, size=9, colour=MUTED)
    for suspect in evaluation.suspects:
        page.say(f"{shortened(suspect.file, 90)}: {evidence.disputed(suspect)}", size=9.5, after=0.6)


def next_steps(page: Page, evaluation: Evaluation) -> None:
    """What now, as a numbered list."""
    page.heading("What now", room=26)
    for number, sentence in enumerate(evidence.next_steps(evaluation), start=1):
        page.say(f"{number}. {sentence}", size=9.5, after=0.6)
