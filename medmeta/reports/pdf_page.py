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

INK, MUTED, LINE = (22, 32, 43), (86, 100, 115), (208, 214, 221)
BLUE, WARN = (8, 81, 156), (253, 243, 220)
_LATIN = str.maketrans(
    {
        "–": "-", "—": "-", "−": "-", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "…": "...", "•": "-",
        "≥": ">=", "≤": "<=", "→": "->", "✓": "yes", "✗": "no", "ł": "l", "Ł": "L", "œ": "oe", "Œ": "OE",
    }
)  # fmt: skip


def printable(text: str) -> str:
    """``text`` in the characters the PDF's fonts have; what has no equivalent becomes ``[U+XXXX]``."""
    out = []
    for character in unicodedata.normalize("NFC", text).translate(_LATIN):
        if unicodedata.category(character)[0] == "C":
            out.append(" ")
        elif ord(character) < 256:
            out.append(character)
        else:
            base = "".join(
                part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)
            )
            fits = bool(base) and all(ord(part) < 256 for part in base)
            out.append(base if fits else f"[U+{ord(character):04X}]")
    return "".join(out)


class Page(FPDF):
    """A4 with the house's type sizes; every text passes through :func:`printable`."""

    def __init__(self, evaluation: Evaluation) -> None:
        super().__init__(format="A4")
        self.set_margins(18, 16, 18)
        self.set_auto_page_break(auto=True, margin=20)
        self.set_title(printable(f"{evaluation.task}: {words.headline(evaluation)}"))
        self.set_creator("MedMeta Workbench")
        # The date of the evaluation, so that the same evaluation gives the same file.
        self.set_creation_date(_date(str(evaluation.provenance.get("date", ""))))
        self.add_page()

    def footer(self) -> None:
        self.set_y(-14)
        self.set_font("helvetica", size=7.5)
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
        self.set_font("helvetica", style="B" if bold else "", size=size)
        self.set_text_color(*colour)
        self.multi_cell(width, size * 0.47, printable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(after)

    def heading(self, text: str, room: float = 24) -> None:
        """A heading that never stands alone at the foot of a page."""
        if self.will_page_break(room):
            self.add_page()
        self.ln(3.5)
        self.say(text, size=12.5, bold=True, after=1.2)

    def rows(
        self, head: Sequence[str], body: Sequence[Sequence[str]], widths: Sequence[float], left: int = 1
    ) -> None:
        """A ruled table; the first ``left`` columns are set left, the others right."""
        self.set_font("helvetica", size=8.5)
        self.set_text_color(*INK)
        self.set_draw_color(*LINE)
        self.set_fill_color(255, 255, 255)
        aligned = tuple("LEFT" if i < left else "RIGHT" for i in range(len(head)))
        with self.table(
            col_widths=tuple(widths),
            text_align=aligned,
            line_height=5.2,
            borders_layout="HORIZONTAL_LINES",
            headings_style=FontFace(emphasis="BOLD", color=MUTED),
            padding=Padding(0.6, 1.5, 0.6, 0),
        ) as table:
            for row in (head, *body):
                cells = table.row()
                for text in row:
                    cells.cell(printable(text))
        self.ln(1)


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
