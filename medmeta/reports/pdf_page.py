"""A page of the PDF report: type sizes, footer, tables, and text that the PDF's own fonts can show."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace
from fpdf.util import Padding

from medmeta.evaluation.result import Evaluation
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports import words
from medmeta.reports.pdf_fonts import WideFont, shows, wide_fonts

INK, MUTED, LINE = (22, 32, 43), (86, 100, 115), (208, 214, 221)
BLUE, WARN = (8, 81, 156), (253, 243, 220)
_LATIN = str.maketrans(
    {
        "–": "-", "—": "-", "−": "-", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "…": "...", "•": "-",
        "≥": ">=", "≤": "<=", "→": "->", "✓": "yes", "✗": "no", "ł": "l", "Ł": "L", "œ": "oe", "Œ": "OE",
    }
)  # fmt: skip


def printable(text: str, fonts: Sequence[WideFont] = ()) -> str:
    """``text`` in characters that Helvetica or one of ``fonts`` has; what has no equivalent becomes ``[U+XXXX]``."""
    out = []
    for character in unicodedata.normalize("NFC", text):
        if unicodedata.category(character)[0] == "C":
            out.append(" ")
        elif ord(character) < 256 or shows(character, fonts):
            out.append(character)
        else:
            out.append(_plainer(character))
    return "".join(out)


def _plainer(character: str) -> str:
    """What stands for a character that no font has: a sign like it, its base letter, or its code."""
    plain = character.translate(_LATIN)
    if plain != character:
        return plain
    base = "".join(
        part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)
    )
    fits = bool(base) and all(ord(part) < 256 for part in base)
    return base if fits else f"[U+{ord(character):04X}]"


class Page(FPDF):
    """A4 with the house's type sizes; every text passes through :func:`printable`.

    Args:
        names: all text that comes from the person; what it needs beyond Western Europe's letters chooses the font.
    """

    def __init__(self, evaluation: Evaluation, names: str = "") -> None:
        super().__init__(format="A4")
        self._wide = wide_fonts(names)
        for number, font in enumerate(self._wide):
            self.add_font(f"wide{number}", "", font.regular)
            self.add_font(f"wide{number}", "B", font.bold)
        if len(self._wide) > 1:
            self.set_fallback_fonts(
                [f"wide{number}" for number in range(1, len(self._wide))], exact_match=False
            )
        self._family = "wide0" if self._wide else "helvetica"
        #: Whether some of ``names`` stands as its code.
        self.lacking = "[U+" in self.printable(names)
        self.set_margins(18, 16, 18)
        self.set_auto_page_break(auto=True, margin=20)
        self.set_title(self.printable(f"{evaluation.task}: {words.headline(evaluation)}"))
        self.set_creator("MedMeta Workbench")
        # The date of the evaluation, so that the same evaluation gives the same file.
        self.set_creation_date(_date(str(evaluation.provenance.get("date", ""))))
        self.add_page()

    def printable(self, text: str) -> str:
        return printable(text, self._wide)

    def font(self, size: float, *, bold: bool = False) -> None:
        # Fonts with many scripts run wider than Helvetica.
        self.set_font(self._family, style="B" if bold else "", size=size * (0.86 if self._wide else 1))

    def footer(self) -> None:
        self.set_y(-14)
        self.font(7.5)
        self.set_text_color(*MUTED)
        self.cell(0, 4, RESEARCH_USE_ONLY)
        self.set_x(-40)
        self.cell(22, 4, f"Page {self.page_no()}", align="R")

    def say(
        self,
        text: str,
        *,
        size: float = 10,
        bold: bool = False,
        colour: tuple[int, int, int] = INK,
        after: float = 1.4,
        width: float = 0,
    ) -> None:
        self.font(size, bold=bold)
        self.set_text_color(*colour)
        self.multi_cell(
            width, size * 0.47, self.printable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )
        self.ln(after)

    def heading(self, text: str, room: float = 24, question: str = "") -> None:
        """A heading that never stands alone at the foot of a page, below the question it begins to answer."""
        if self.will_page_break(room):
            self.add_page()
        self.ln(3.5)
        if question:
            self.say(question, size=9, bold=True, colour=BLUE, after=0.2)
        self.say(text, size=12.5, bold=True, after=1.2)

    def warning(self, text: str) -> None:
        """A sentence on coloured ground."""
        self.set_fill_color(*WARN)
        self.font(9.5)
        self.set_text_color(*INK)
        self.multi_cell(
            0,
            4.7,
            self.printable(text),
            align="L",
            fill=True,
            padding=Padding(1.6, 1.6, 1.6, 1.6),
            new_x=XPos.LMARGIN,
            new_y=YPos.NEXT,
        )
        self.ln(1.4)

    def rows(
        self,
        head: Sequence[str],
        body: Sequence[Sequence[str]],
        widths: Sequence[float],
        numbers: Sequence[int] = (),
        *,
        headed: bool = True,
    ) -> None:
        """A ruled table; ``numbers`` are the columns set right. Its head comes again on every page."""
        self.font(8.5)
        self.set_text_color(*INK)
        self.set_draw_color(*LINE)
        self.set_fill_color(255, 255, 255)
        aligned = tuple("RIGHT" if i in numbers else "LEFT" for i in range(len(widths)))
        with self.table(
            col_widths=tuple(widths),
            text_align=aligned,
            line_height=4.6,
            borders_layout="HORIZONTAL_LINES",
            first_row_as_headings=headed,
            headings_style=FontFace(emphasis="BOLD", color=MUTED),
            padding=Padding(0.8, 1.5, 0.8, 0),
        ) as table:
            for row in (head, *body) if headed else body:
                cells = table.row()
                for text in row:
                    cells.cell(self.printable(text))
        self.ln(1)


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
