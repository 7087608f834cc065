"""A plotly figure on paper: its scatter traces as lines, marks and error bars, drawn by the PDF library.

What a report's figures use is understood: lines (dashed or not), marks (discs, circles, crosses, stars), text beside
marks, error bars on both axes, filled bands, axis titles, ranges and ticks, a legend. Heatmaps are not; a table stands
in their place.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from medmeta.reports.pdf_page import INK, LINE, MUTED, Page

#: Millimetres: of the plot itself, and what the titles of its axes, its ticks and its legend take around it.
WIDTH, HEIGHT = 104.0, 52.0
ABOVE, LEFT, BELOW, LEGEND = 6.5, 18.0, 13.0, 48.0
_DASHES = {"dot": (0.5, 1.0), "dash": (2.0, 1.2), "dashdot": (2.5, 1.0)}


@dataclass(frozen=True)
class _Axes:
    """The plot's place on the page and the range of its axes."""

    x: float
    y: float
    across: tuple[float, float]
    up: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Millimetres of a point, kept inside the plot."""
        share_x = (x - self.across[0]) / (self.across[1] - self.across[0])
        share_y = (y - self.up[0]) / (self.up[1] - self.up[0])
        inside_x, inside_y = min(max(share_x, 0.0), 1.0), min(max(share_y, 0.0), 1.0)
        return self.x + WIDTH * inside_x, self.y + HEIGHT * (1 - inside_y)


def draw_chart(page: Page, figure: go.Figure) -> None:
    """Draw a figure at the left margin; moves to the next page where it does not fit."""
    whole = ABOVE + HEIGHT + BELOW
    if page.will_page_break(whole):
        page.add_page()
    top = page.get_y()
    traces = [trace for trace in figure.data if trace.type == "scatter" and trace.x is not None]
    axes = _Axes(
        page.l_margin + LEFT,
        top + ABOVE,
        _range(figure.layout.xaxis, [trace.x for trace in traces]),
        _range(figure.layout.yaxis, [trace.y for trace in traces]),
    )
    _frame(page, axes, figure.layout)
    for trace in traces:
        _trace(page, axes, trace)
    _legend(page, axes, traces, figure.layout)
    for note in figure.layout.annotations:
        if note.xref == "paper":
            page.set_xy(axes.x, axes.y + HEIGHT / 2)
            page.cell(WIDTH, 5, page.printable(_plain(note.text)), align="C")
    page.set_dash_pattern()
    page.set_line_width(0.2)
    page.set_xy(page.l_margin, top + whole)


def _range(axis: Any, values: Sequence[Any]) -> tuple[float, float]:
    if axis.range is not None:
        return float(axis.range[0]), float(axis.range[1])
    known = [float(value) for each in values for value in each if value is not None and math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    gap = 0.05 * (high - low or 1.0)
    return low - gap, high + gap


def _frame(page: Page, axes: _Axes, layout: Any) -> None:
    """Grid, ticks and the titles of the axes."""
    page.set_line_width(0.15)
    page.set_draw_color(*LINE)
    page.set_text_color(*MUTED)
    page.font(7)
    for value, text in _ticks(layout.xaxis, axes.across):
        x, _ = axes.at(value, axes.up[0])
        page.line(x, axes.y, x, axes.y + HEIGHT)
        page.set_xy(x - 9, axes.y + HEIGHT + 1)
        page.cell(18, 3.4, page.printable(text), align="C")
    for value, text in _ticks(layout.yaxis, axes.up):
        _, y = axes.at(axes.across[0], value)
        page.line(axes.x, y, axes.x + WIDTH, y)
        page.set_xy(axes.x - LEFT, y - 1.7)
        page.cell(LEFT - 1.5, 3.4, page.printable(text), align="R")
    page.font(8)
    page.set_xy(axes.x, axes.y + HEIGHT + 5)
    page.cell(WIDTH, 4, page.printable(_plain(layout.xaxis.title.text)), align="C")
    page.set_xy(axes.x - LEFT, axes.y - ABOVE)
    page.cell(LEFT + WIDTH, 4, page.printable(_plain(layout.yaxis.title.text)))


def _ticks(axis: Any, ends: tuple[float, float]) -> list[tuple[float, str]]:
    if axis.showticklabels is False:
        return []
    low, high = min(ends), max(ends)
    if axis.tickvals is not None and axis.ticktext is not None:
        return [(float(v), _plain(t)) for v, t in zip(axis.tickvals, axis.ticktext, strict=True)]
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    share = axis.tickformat is not None and "%" in axis.tickformat
    return [
        (k * step, _number(100 * k * step) + " %" if share else _number(k * step))
        for k in range(first, last + 1)
    ]


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _trace(page: Page, axes: _Axes, trace: Any) -> None:
    points = [
        (float(x), float(y)) for x, y in zip(trace.x, trace.y, strict=True) if x is not None and y is not None
    ]
    mode, places = trace.mode or "lines", [axes.at(*point) for point in points]
    line = _colour(trace.line.color if "lines" in mode else trace.marker.color)
    if trace.fill == "toself" and len(places) > 2:
        page.set_fill_color(*_pale(_colour(trace.fillcolor or trace.line.color)))
        page.polygon(places, style="F")
    page.set_draw_color(*line)
    if "lines" in mode and (trace.line.width is None or trace.line.width > 0):
        page.set_line_width(0.45 if (trace.line.width or 2) >= 2 else 0.25)
        page.set_dash_pattern(*_DASHES.get(trace.line.dash, (0, 0)))
        if len(places) > 1:
            page.polyline(places)
        page.set_dash_pattern()
    _bars(page, axes, trace, points)
    if "markers" in mode:
        colour, symbols = _colour(trace.marker.color or trace.line.color), trace.marker.symbol
        each = [symbols] * len(places) if symbols is None or isinstance(symbols, str) else symbols
        for (x, y), symbol in zip(places, each, strict=True):
            _mark(page, x, y, symbol, colour)
    if "text" in mode and trace.text is not None:
        page.font(6.5)
        page.set_text_color(*MUTED)
        for (x, y), text in zip(places, trace.text, strict=True):
            page.set_xy(x - 9, y + 1)
            page.cell(18, 3, page.printable(_plain(text)), align="C")


def _mark(page: Page, x: float, y: float, symbol: str | None, colour: tuple[int, int, int]) -> None:
    """A disc, or what stands for one of plotly's other symbols."""
    page.set_fill_color(*colour)
    page.set_draw_color(*colour)
    page.set_line_width(0.35)
    if symbol == "x":
        page.line(x - 0.9, y - 0.9, x + 0.9, y + 0.9)
        page.line(x - 0.9, y + 0.9, x + 0.9, y - 0.9)
    elif symbol == "star-open":
        turns = [math.pi * k / 5 for k in range(10)]
        reach = [2.0 if k % 2 == 0 else 0.8 for k in range(10)]
        tips = [(x + r * math.sin(t), y - r * math.cos(t)) for t, r in zip(turns, reach, strict=True)]
        page.polygon(tips, style="D")
    else:
        page.ellipse(x - 0.7, y - 0.7, 1.4, 1.4, style="D" if symbol == "circle-open" else "F")


def _bars(page: Page, axes: _Axes, trace: Any, points: Sequence[tuple[float, float]]) -> None:
    page.set_line_width(0.25)
    for bars, across in ((trace.error_y, False), (trace.error_x, True)):
        if bars is None or bars.array is None:
            continue
        page.set_draw_color(*_colour(bars.color))
        below = bars.arrayminus if bars.arrayminus is not None else bars.array
        for (x, y), more, less in zip(points, bars.array, below, strict=True):
            start, end = ((x - less, y), (x + more, y)) if across else ((x, y - less), (x, y + more))
            page.line(*axes.at(*start), *axes.at(*end))


def _legend(page: Page, axes: _Axes, traces: Sequence[Any], layout: Any) -> None:
    x, y = axes.x + WIDTH + 5, axes.y
    named = [trace for trace in traces if trace.showlegend is not False and trace.name]
    page.font(7.5)
    page.set_text_color(*MUTED)
    if named and layout.legend.title.text:
        page.set_xy(x, y)
        page.cell(LEGEND, 3.6, page.printable(_plain(layout.legend.title.text)))
        y += 4.5
    page.set_text_color(*INK)
    for trace in named:
        if trace.mode == "markers":
            _mark(page, x + 3.5, y + 1.8, trace.marker.symbol, _colour(trace.marker.color))
        else:
            page.set_draw_color(*_colour(trace.line.color or trace.marker.color))
            page.set_line_width(0.5)
            page.set_dash_pattern(*_DASHES.get(trace.line.dash, (0, 0)))
            page.line(x, y + 1.8, x + 7, y + 1.8)
            page.set_dash_pattern()
        page.set_xy(x + 8, y)
        page.multi_cell(LEGEND - 8, 3.6, page.printable(_plain(trace.name)), align="L")
        y = page.get_y() + 1


def _plain(text: Any) -> str:
    """Plotly's text without its markup."""
    return html.unescape(re.sub(r"<[^>]*>", " ", str(text or "")))


def _colour(text: Any) -> tuple[int, int, int]:
    """Red, green and blue of ``#rrggbb`` or ``rgb(a)(...)``; ink for anything else."""
    name = str(text or "")
    if re.fullmatch(r"#[0-9a-fA-F]{6}", name):
        return int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16)
    parts = re.findall(r"[\d.]+", name)
    if name.startswith("rgb") and len(parts) >= 3:
        return int(float(parts[0])), int(float(parts[1])), int(float(parts[2]))
    return INK


def _pale(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """A colour as it looks at a fifth of its strength on white."""
    return tuple(round(255 - (255 - part) / 5) for part in colour)  # type: ignore[return-value]
