"""The report as a PDF, drawn without a browser: the sections of the HTML page, in the same order and words.

The PDF's own fonts (Helvetica) know the characters of Western Europe only. Where the text needs others, a wide
font of this machine is embedded if there is one (`pdf_fonts`); what no font has stands as ``[U+4E2D]``, and a line
under the title says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace
from fpdf.util import Padding
from PIL import Image, UnidentifiedImageError

from medmeta.evaluation.cases import commonest_answer
from medmeta.evaluation.result import Evaluation
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports import words
from medmeta.reports.palette import shortened
from medmeta.reports.pdf_chart import draw_chart
from medmeta.reports.pdf_page import BLUE, INK, LINE, MUTED, WARN, Page
from medmeta.reports.section import Card, Cards, Chart, Matrix, Pairs, Part, Points, Section, Table, Text
from medmeta.reports.sections import sections

#: More classes than this do not fit as columns; the PDF then names the counts of each row in words.
MATRIX_CLASSES = 10
#: Cells longer than this are cut on paper; the HTML page has them whole.
CELL = 600


def pdf_report(evaluation: Evaluation, *, thumbnails: Mapping[str, bytes] | None = None) -> bytes:
    """A4 pages: is it good, for whom not, why, and what now; then method, limits, model, provenance, checklists.

    Args:
        evaluation: what was measured.
        thumbnails: PNG bytes by ``Scan.id``; an unreadable picture is left blank.
    """
    found = sections(evaluation)
    page = Page(evaluation, _everything(evaluation, found))
    _headline(page, evaluation)
    for section in found:
        _section(page, section, thumbnails or {})
    return bytes(page.output())


def pdf_summary(evaluation: Evaluation) -> bytes:
    """The report up to its first page, and a little beyond: what a picture of that page needs."""
    found = sections(evaluation)
    page = Page(evaluation, _everything(evaluation, found))
    _headline(page, evaluation)
    for section in found:
        if page.page_no() > 1:
            break
        _section(page, section, {})
    return bytes(page.output())


def _section(page: Page, section: Section, thumbnails: Mapping[str, bytes]) -> None:
    parts = [part for part in section.parts if not getattr(part, "screen", False)]
    if not parts:
        return
    if section.appendix:
        page.add_page()
    # A heading stays with a little of what is under it: a chart or matrix whole, else its first lines.
    need = 24.0
    for part in parts:
        need += _height(part)
        if not isinstance(part, Text):
            break
    page.heading(section.title, need, section.question)
    for part in parts:
        _part(page, part, thumbnails)


def _height(part: Part) -> float:
    """Millimetres that should stay together with the heading above."""
    if isinstance(part, Chart):
        return 74
    if isinstance(part, Matrix):
        return 12 + 8 * min(len(part.classes), MATRIX_CLASSES)
    if isinstance(part, Table):
        return 8 + 7 * min(len(part.rows), 6)
    if isinstance(part, Cards):
        return 34
    return 12


def _part(page: Page, part: Part, thumbnails: Mapping[str, bytes]) -> None:
    match part:
        case Text(sentences, muted):
            for sentence in sentences:
                page.say(sentence, size=9, colour=MUTED if muted else INK)
        case Points(items, kind):
            for number, item in enumerate(items, start=1):
                if kind == "warning":
                    page.warning(item)
                else:
                    page.say(f"{number}. {item}" if kind == "numbered" else f"- {item}", size=9.5, after=0.8)
        case Pairs(items):
            page.rows((), items, (44, 130), headed=False)
        case Table():
            rows = [tuple(shortened(cell, CELL) for cell in row) for row in part.rows]
            page.rows(part.head, rows, part.widths, part.numbers)
        case Matrix():
            _matrix(page, part)
        case Chart():
            draw_chart(page, part.figure)
        case Cards(items):
            for card in items:
                _card(page, card, thumbnails)


def _everything(evaluation: Evaluation, found: tuple[Section, ...]) -> str:
    """All names that come from the person, to choose a font by."""
    cards = [
        card for section in found for part in section.parts if isinstance(part, Cards) for card in part.items
    ]
    return " ".join(
        (
            evaluation.task,
            *evaluation.classes,
            *(text for card in cards for text in (card.title, *(near[1] for near in card.near))),
        )
    )


def _headline(page: Page, evaluation: Evaluation) -> None:
    date = str(evaluation.provenance.get("date", ""))[:10]
    page.set_fill_color(*WARN)
    page.font(9, bold=True)
    page.set_text_color(107, 74, 0)
    page.cell(0, 7, RESEARCH_USE_ONLY, align="C", fill=True, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.ln(4)
    page.say(f"MedMeta evaluation report, {date}", size=9, colour=MUTED, after=0.4)
    page.say(shortened(evaluation.task, 160), size=17, bold=True, after=1)
    if page.lacking:
        page.say(
            "Some characters are in no font of this PDF and stand as their code, such as [U+4E2D]; the HTML report "
            "shows them.",
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
        ("Balanced accuracy", "AUROC (mean)", "Scans right", "Adapted on", "In"),
        [
            (
                words.percent(evaluation.balanced_accuracy),
                words.decimal(evaluation.auroc),
                f"{right} of {len(evaluation.cases)}",
                f"{words.scans(evaluation.n_support)}, {words.patients(evaluation.n_support_groups)}",
                words.seconds(evaluation.seconds),
            ),
            (
                words.balanced_span(evaluation),
                words.auroc_span(evaluation),
                words.span(evaluation.interval),
                "",
                "",
            ),
        ],
        (38, 38, 34, 46, 18),
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
    page.font(8)
    page.set_text_color(*MUTED)
    page.set_xy(left, y + 3)
    page.cell(20, 4, "0 %")
    page.set_xy(min(max(left + width * guess - 25, left + 20), left + width - 70), y + 3)
    page.cell(50, 4, "always the commonest answer", align="C")
    page.set_xy(left + width - 20, y + 3)
    page.cell(20, 4, "100 %", align="R")
    page.set_xy(left, y + 10)


def _matrix(page: Page, matrix: Matrix) -> None:
    n = len(matrix.classes)
    if n > MATRIX_CLASSES:
        page.say("Scans of each class and the answers they got, most frequent first.", size=9, colour=MUTED)
        for name, row in zip(matrix.classes, matrix.counts, strict=True):
            answers = sorted(
                ((count, other) for count, other in zip(row, matrix.classes, strict=True) if count),
                key=lambda item: -item[0],
            )
            listed = ", ".join(f"{shortened(other, 40)} {count}" for count, other in answers) or "no scan"
            page.say(f"{shortened(name, 60)}: {listed}", size=9, after=0.6)
        return
    page.font(8.5)
    page.set_text_color(*INK)
    page.set_draw_color(255, 255, 255)
    page.set_fill_color(255, 255, 255)
    column = min(40.0, (page.epw - 52) / n)
    with page.table(
        col_widths=(52, *([column] * n)),
        width=52 + column * n,
        align="LEFT",
        text_align=("LEFT", *(["CENTER"] * n)),
        line_height=4.4 if n > 5 else 5,
        headings_style=FontFace(emphasis="BOLD", color=MUTED, size_pt=6.5 if n > 5 else 7.5),
        padding=Padding(1.2, 0.8, 1.2, 0.8),
    ) as table:
        head = table.row()
        head.cell("True label")
        for name in matrix.classes:
            head.cell(page.printable(shortened(name, 40)))
        for label, counts in zip(matrix.classes, matrix.counts, strict=True):
            line = table.row()
            line.cell(page.printable(f"{shortened(label, 60)} (n = {sum(counts)})"))
            for count in counts:
                share = count / sum(counts) if sum(counts) else 0.0
                ground = tuple(round(247 + (deep - 247) * share) for deep in BLUE)
                ink = (255, 255, 255) if share > 0.55 else INK
                line.cell(str(count), style=FontFace(emphasis="BOLD", color=ink, fill_color=ground))


def _card(page: Page, card: Card, thumbnails: Mapping[str, bytes]) -> None:
    side = 28.0
    if page.will_page_break(side + 4):
        page.add_page()
    top, margin = page.get_y(), page.l_margin
    _picture(page, thumbnails.get(card.scan_id), margin, top, side)
    page.set_left_margin(margin + side + 5)
    page.set_xy(margin + side + 5, top)
    page.say(shortened(card.title, 90), bold=True, after=0.6)
    page.say(shortened(card.text, 320), size=9, after=0.6)
    if card.near:
        listed = "; ".join(
            f"{shortened(file, 40)} ({shortened(label, 40)}, {similarity:.2f})"
            for _, file, label, similarity in card.near
        )
        page.say(f"Looks like: {listed}", size=8.5, colour=MUTED, after=0)
    page.set_left_margin(margin)
    page.set_xy(margin, max(page.get_y(), top + side) + 4)


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
