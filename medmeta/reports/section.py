"""What a report is made of: sections of small parts, which the HTML page and the PDF each draw in their own way."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True)
class Text:
    """Paragraphs; ``muted`` ones explain what stands beside them."""

    sentences: tuple[str, ...]
    muted: bool = False


@dataclass(frozen=True)
class Points:
    """A list: plain, numbered, or of warnings."""

    items: tuple[str, ...]
    kind: str = "plain"


@dataclass(frozen=True)
class Pairs:
    """Names and what belongs to them."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """Rows of text under a head.

    Attributes:
        numbers: positions of the columns set right.
        widths: of the columns on paper, in shares of the page.
        caption: for those who cannot see it; on paper it is left out.
        cells: what a click on the confusion matrix chooses rows by, one a row; else empty.
        screen: left out on paper.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    widths: tuple[float, ...]
    caption: str
    cells: tuple[str, ...] = ()
    screen: bool = False


@dataclass(frozen=True)
class Matrix:
    """Scans of each class (row) by answer (column)."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Chart:
    """A plotly figure. On paper its scatter traces are drawn by `pdf_chart`; ``screen`` ones are left out there.

    ``alt`` says in words what it shows; the numbers belong in a table or sentence beside it.
    """

    key: str
    figure: go.Figure
    alt: str
    screen: bool = False


@dataclass(frozen=True)
class Card:
    """A scan with what is to be said of it, and scans that look like it: (scan id, file, label, similarity)."""

    scan_id: str
    title: str
    text: str
    near: tuple[tuple[str, str, str, float], ...] = ()


@dataclass(frozen=True)
class Cards:
    items: tuple[Card, ...]


Part = Text | Points | Pairs | Table | Matrix | Chart | Cards


@dataclass(frozen=True)
class Section:
    """One heading of the report.

    Attributes:
        key: its name in the page's address.
        question: what a clinician asks, where a new one begins.
        appendix: begins on a page of its own on paper, and is folded on the screen.
    """

    key: str
    title: str
    parts: tuple[Part, ...]
    question: str = ""
    appendix: bool = False
