"""The report as a short PDF, drawn without a browser.

The PDF's own fonts (Helvetica) know the characters of Western Europe only. Others are shown as their base
letter where they have one, else visibly as ``[U+4E2D]``, and a line under the title then says so; the HTML
report shows every script. No font file is needed and none is embedded.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace
from fpdf.util import Padding
from PIL import Image, UnidentifiedImageError

from medmeta.evaluation.cases import commonest_answer, label_probability, worst_mistakes
from medmeta.evaluation.result import Case, Evaluation
from medmeta.learners.titles import learner_title
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports import words
from medmeta.reports.palette import shortened
from medmeta.reports.pdf_evidence import further, next_steps, suspects
from medmeta.reports.pdf_page import BLUE, INK, LINE, MUTED, WARN, Page, printable

#: Mistakes drawn with their picture.
MISTAKES = 4
#: More classes than this do not fit as columns; the PDF then names the counts of each row in words.
MATRIX_CLASSES = 10


def pdf_report(evaluation: Evaluation, *, thumbnails: Mapping[str, bytes] | None = None) -> bytes:
    """A few A4 pages: is it good, for whom not, why, and what now; then method, limits and provenance.

    Args:
        evaluation: what was measured.
        thumbnails: PNG bytes by ``Scan.id``; an unreadable picture is left blank.
    """
    page = Page(evaluation)
    _headline(page, evaluation)
    _notes(page, evaluation)
    _comparisons(page, evaluation)
    _matrix(page, evaluation)
    _classes(page, evaluation)
    further(page, evaluation)
    _mistakes(page, evaluation, thumbnails or {})
    suspects(page, evaluation)
    next_steps(page, evaluation)
    page.heading("How it was measured, and its limits")
    for sentence in words.method(evaluation):
        page.say(sentence, size=9)
    for sentence in words.LIMITS:
        page.say(f"- {sentence}", size=9)
    page.heading("Where it comes from")
    page.say(words.provenance_line(evaluation), size=8, colour=MUTED)
    return bytes(page.output())


def _headline(page: Page, evaluation: Evaluation) -> None:
    date = str(evaluation.provenance.get("date", ""))[:10]
    page.set_fill_color(*WARN)
    page.set_font("helvetica", style="B", size=9)
    page.set_text_color(107, 74, 0)
    page.cell(0, 7, RESEARCH_USE_ONLY, align="C", fill=True, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.ln(4)
    page.say(f"MedMeta evaluation report, {date}", size=9, colour=MUTED, after=0.4)
    page.say(shortened(evaluation.task, 160), size=17, bold=True, after=1)
    everything = " ".join(
        (evaluation.task, *evaluation.classes, *(case.file for case in worst_mistakes(evaluation, MISTAKES)))
    )
    if "[U+" in printable(everything):
        page.say(
            "Some characters are not in this PDF's fonts and stand as their code, such as [U+4E2D]; "
            "the HTML report shows them.",
            size=8.5,
            colour=MUTED,
        )
    page.ln(2)
    page.say(words.headline(evaluation), size=26, bold=True, colour=BLUE, after=0.6)
    page.say(f"95 % interval {words.span(evaluation.patients.interval)}", size=12, after=1)
    _scale(page, evaluation)
    for sentence in words.meaning(evaluation):
        page.say(sentence, after=0.9)
    right = sum(case.correct for case in evaluation.cases)
    page.ln(1)
    page.rows(
        ("Balanced accuracy", "AUROC (mean)", "Scans right", "Adapted on", "In", "Tested by"),
        [
            (
                words.percent(evaluation.balanced_accuracy),
                words.decimal(evaluation.auroc),
                f"{right} of {len(evaluation.cases)}",
                f"{evaluation.n_support} scans, {evaluation.n_support_groups} patients",
                words.seconds(evaluation.seconds),
                evaluation.protocol,
            )
        ],
        (26, 21, 22, 44, 16, 45),
        left=6,
    )


def _scale(page: Page, evaluation: Evaluation) -> None:
    """The rate and its interval on a rail from 0 to 100 %, with the commonest answer marked."""
    left, width, y = page.l_margin, page.epw, page.get_y() + 5
    count = evaluation.patients
    page.set_draw_color(*LINE)
    page.set_line_width(0.5)
    page.line(left, y, left + width, y)
    page.set_draw_color(150, 183, 214)
    page.set_line_width(2.2)
    page.line(left + width * count.interval.low, y, left + width * count.interval.high, y)
    guess = commonest_answer(evaluation.cases, evaluation.classes)[1] / count.n
    page.set_draw_color(*MUTED)
    page.set_line_width(0.4)
    page.line(left + width * guess, y - 3, left + width * guess, y + 3)
    page.set_fill_color(*BLUE)
    page.ellipse(left + width * count.rate - 1.6, y - 1.6, 3.2, 3.2, style="F")
    page.set_line_width(0.2)
    page.set_font("helvetica", size=8)
    page.set_text_color(*MUTED)
    page.set_xy(left, y + 3)
    page.cell(20, 4, "0 %")
    page.set_xy(min(max(left + width * guess - 25, left + 20), left + width - 70), y + 3)
    page.cell(50, 4, "always the commonest answer", align="C")
    page.set_xy(left + width - 20, y + 3)
    page.cell(20, 4, "100 %", align="R")
    page.set_xy(left, y + 10)


def _notes(page: Page, evaluation: Evaluation) -> None:
    if not evaluation.notes:
        return
    page.heading("Read this with the figures")
    for note in evaluation.notes:
        page.set_fill_color(*WARN)
        page.set_font("helvetica", size=9.5)
        page.set_text_color(*INK)
        page.multi_cell(
            0,
            4.7,
            printable(note),
            align="L",
            fill=True,
            padding=Padding(1.6, 1.6, 1.6, 1.6),
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )
        page.ln(1.4)


def _matrix(page: Page, evaluation: Evaluation) -> None:
    n = len(evaluation.classes)
    page.heading("What was taken for what", room=30 + 8 * min(n, MATRIX_CLASSES))
    if n > MATRIX_CLASSES:
        page.say("Scans of each class and the answers they got, most frequent first.", size=9, colour=MUTED)
        for name, row in zip(evaluation.classes, evaluation.confusion, strict=True):
            answers = sorted(
                ((count, other) for count, other in zip(row, evaluation.classes, strict=True) if count),
                key=lambda item: -item[0],
            )
            listed = ", ".join(f"{shortened(other, 40)} {count}" for count, other in answers) or "no scan"
            page.say(f"{shortened(name, 60)}: {listed}", size=9, after=0.6)
        return
    page.say(
        "Rows are the true labels, columns the answers, in scans; shade is the share of the row.",
        size=9,
        colour=MUTED,
    )
    page.set_font("helvetica", size=8.5)
    page.set_text_color(*INK)
    page.set_draw_color(255, 255, 255)
    page.set_fill_color(255, 255, 255)
    column = min(40.0, (page.epw - 52) / n)
    with page.table(
        col_widths=(52, *([column] * n)),
        width=52 + column * n,
        align="LEFT",
        text_align=("LEFT", *(["CENTER"] * n)),
        line_height=5,
        headings_style=FontFace(emphasis="BOLD", color=MUTED, size_pt=7.5),
        padding=Padding(1.2, 1.2, 1.2, 1.2),
    ) as table:
        head = table.row()
        head.cell("True label")
        for name in evaluation.classes:
            head.cell(printable(shortened(name, 40)))
        for label, counts in zip(evaluation.classes, evaluation.confusion, strict=True):
            line = table.row()
            line.cell(printable(f"{shortened(label, 60)} (n = {sum(counts)})"))
            for count in counts:
                share = count / sum(counts) if sum(counts) else 0.0
                ground = tuple(round(247 + (deep - 247) * share) for deep in BLUE)
                ink = (255, 255, 255) if share > 0.55 else INK
                line.cell(str(count), style=FontFace(emphasis="BOLD", color=ink, fill_color=ground))


def _classes(page: Page, evaluation: Evaluation) -> None:
    page.heading("Each class", room=24 + 7 * min(len(evaluation.per_class), MATRIX_CLASSES))
    page.rows(
        (
            "Class",
            "Patients",
            "Scans",
            "Sensitivity",
            "95 % interval",
            "Specificity",
            "95 % interval",
            "AUROC",
        ),
        [
            (
                shortened(item.label, 80),
                str(item.n_groups),
                str(item.n_scans),
                words.percent(item.sensitivity),
                words.span(item.sensitivity_interval),
                words.percent(item.specificity),
                words.span(item.specificity_interval),
                words.decimal(item.auroc),
            )
            for item in evaluation.per_class
        ],
        (45, 17, 14, 20, 24, 20, 24, 14),
    )


def _comparisons(page: Page, evaluation: Evaluation) -> None:
    if not evaluation.comparisons:
        return
    page.heading("Against simple methods on the same patients", room=34 + 7 * len(evaluation.comparisons))
    ours = (
        learner_title(evaluation.learner),
        f"{evaluation.patients.correct} of {evaluation.patients.n}",
        words.span(evaluation.patients.interval),
        words.percent(evaluation.balanced_accuracy),
        "",
        "",
    )
    page.rows(
        (
            "Method",
            "Patients right",
            "95 % interval",
            "Balanced acc.",
            "Ours minus it",
            "95 % interval",
        ),
        [
            ours,
            *(
                (
                    learner_title(item.learner),
                    f"{item.patients.correct} of {item.patients.n}",
                    words.span(item.patients.interval),
                    words.percent(item.balanced_accuracy),
                    f"{words.signed(item.difference)} points",
                    words.points(item.difference_interval),
                )
                for item in evaluation.comparisons
            ),
        ],
        (56, 23, 24, 23, 29, 24),
    )


def _mistakes(page: Page, evaluation: Evaluation, thumbnails: Mapping[str, bytes]) -> None:
    mistakes = worst_mistakes(evaluation, MISTAKES)
    page.heading("Worst mistakes", room=44)
    if not mistakes:
        page.say("No scan was wrong. See the notes for what to check before trusting that.")
        return
    for case in mistakes:
        _mistake(page, evaluation, case, thumbnails)


def _mistake(page: Page, evaluation: Evaluation, case: Case, thumbnails: Mapping[str, bytes]) -> None:
    side = 28.0
    if page.will_page_break(side + 4):
        page.add_page()
    top = page.get_y()
    _picture(page, thumbnails.get(case.scan_id), page.l_margin, top, side)
    page.set_left_margin(18 + side + 5)
    page.set_xy(18 + side + 5, top)
    page.say(shortened(case.file, 90), bold=True, after=0.6)
    chance = case.probabilities[evaluation.classes.index(case.predicted)]
    page.say(
        f"Labelled {shortened(case.label, 60)}, taken for {shortened(case.predicted, 60)} with probability "
        f"{words.percent(chance)}; the label got {words.percent(label_probability(case, evaluation.classes))}."
        + (" The model declined this scan." if case.abstained else ""),
        size=9,
        after=0.6,
    )
    if case.nearest:
        listed = "; ".join(
            f"{shortened(file, 40)} ({shortened(label, 40)}, {similarity:.2f})"
            for _, file, label, similarity in case.nearest[:3]
        )
        page.say(f"Looks like: {listed}", size=8.5, colour=MUTED, after=0)
    page.set_left_margin(18)
    page.set_xy(18, max(page.get_y(), top + side) + 4)


def _picture(page: Page, png: bytes | None, x: float, y: float, side: float) -> None:
    page.set_fill_color(0, 0, 0)
    page.rect(x, y, side, side, style="F")
    image = _open(png)
    if image is not None:
        page.image(image, x=x, y=y, w=side, h=side, keep_aspect_ratio=True)


def _open(png: bytes | None) -> Any:
    """A decoded thumbnail, or None where there is none; formats other than PNG are not tried."""
    if png is None:
        return None
    try:
        image = Image.open(BytesIO(png), formats=("PNG",))
        image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return image.convert("RGB")
