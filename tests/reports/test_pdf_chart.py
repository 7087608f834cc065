"""A chart on paper: every trace is drawn where its numbers say, nothing leaves the plot, any figure of ours works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import plotly.graph_objects as go
import pypdfium2
import pytest
from helpers import read_pages

from medmeta.evaluation.further import reliability_points
from medmeta.evaluation.result import Evaluation
from medmeta.reports.pdf_chart import ABOVE, HEIGHT, LEFT, WIDTH, draw_chart
from medmeta.reports.pdf_page import Page
from medmeta.reports.section import Chart
from medmeta.reports.sections import sections

SCALE = 4.0
MM = 72 / 25.4 * SCALE


def drawn(evaluation: Evaluation, figure: go.Figure) -> tuple[bytes, float]:
    """A PDF with the figure on a page of its own, and the height at which it starts."""
    page = Page(evaluation)
    start = page.get_y()
    draw_chart(page, figure)
    return bytes(page.output()), start


def pixels(pdf: bytes):
    document = pypdfium2.PdfDocument(pdf)
    try:
        return document[0].render(scale=SCALE, rev_byteorder=True).to_numpy()[..., :3].astype(int)
    finally:
        document.close()


def coloured(image, colour: tuple[int, int, int]):
    return abs(image - list(colour)).sum(axis=2) < 60


def test_a_line_is_where_its_numbers_say(evaluation: Evaluation) -> None:
    figure = go.Figure(
        go.Scatter(x=[0, 0.5, 1], y=[0.25, 0.75, 0.75], mode="lines", line={"color": "#ff0000", "width": 2})
    )
    figure.update_xaxes(range=[0, 1], title_text="across")
    figure.update_yaxes(range=[0, 1], title_text="up", tickformat=".0%")
    pdf, start = drawn(evaluation, figure)
    red = coloured(pixels(pdf), (255, 0, 0))

    def place(x: float, y: float) -> tuple[int, int]:
        row = (start + ABOVE + HEIGHT * (1 - y)) * MM
        return round(row), round((18 + LEFT + WIDTH * x) * MM)

    for x, y in ((0.1, 0.35), (0.25, 0.5), (0.75, 0.75), (0.98, 0.75)):
        row, column = place(x, y)
        assert red[row - 4 : row + 5, column - 4 : column + 5].any(), (x, y)
        assert not red[row + 40 : row + 80, column].any()
    text = read_pages(pdf)[0]
    for word in ("across", "up", "0 %", "100 %"):
        assert word in text


def test_values_outside_the_axes_stay_in_the_plot(evaluation: Evaluation) -> None:
    figure = go.Figure(go.Scatter(x=[0, 1], y=[-50, 50], mode="lines", line={"color": "#ff0000"}))
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(range=[0, 1])
    pdf, start = drawn(evaluation, figure)
    rows = coloured(pixels(pdf), (255, 0, 0)).any(axis=1).nonzero()[0]
    assert rows.min() >= (start + ABOVE) * MM - 5
    assert rows.max() <= (start + ABOVE + HEIGHT) * MM + 5


def test_bars_bands_marks_and_a_legend(evaluation: Evaluation) -> None:
    figure = go.Figure()
    figure.add_scatter(
        x=[1, 2, 3], y=[0.2, 0.4, 0.6], mode="lines+markers", name="a <b>bold</b> name", marker={"color": "#0000ff"},
        line={"color": "#0000ff", "dash": "dash"},
        error_y={"type": "data", "array": [0.1] * 3, "arrayminus": [0.2] * 3, "color": "#ff0000"},
    )  # fmt: skip
    figure.add_scatter(
        x=[1, 3, 3, 1], y=[0.7, 0.7, 0.9, 0.9], fill="toself", fillcolor="rgba(0, 255, 0, 0.3)", mode="lines",
        line={"width": 0, "color": "#00ff00"}, showlegend=False, name="band",
    )  # fmt: skip
    figure.update_yaxes(range=[0, 1])
    pdf, _ = drawn(evaluation, figure)
    image = pixels(pdf)
    assert coloured(image, (255, 0, 0)).sum() > 300
    assert coloured(image, (0, 0, 255)).sum() > 300
    assert coloured(image, (204, 255, 204)).sum() > 5000
    text = read_pages(pdf)[0]
    assert "bold" in text
    assert "<b>" not in text
    assert "band" not in text


@pytest.mark.parametrize("classes", [("a", "b"), tuple(f"class {n} " + "long " * 12 for n in range(9))])
def test_every_chart_of_the_report_can_be_drawn(
    classes: tuple[str, ...], build_evaluation: Callable[..., Evaluation]
) -> None:
    plain = build_evaluation(classes, patients=30)
    evaluation = replace(plain, reliability=reliability_points(plain.cases, plain.classes))
    charts = [part for section in sections(evaluation) for part in section.parts if isinstance(part, Chart)]
    assert {"roc", "net_benefit", "abstention", "reliability"} <= {c.key for c in charts if not c.screen}
    for chart in charts:
        if chart.screen:
            continue
        pdf, _ = drawn(evaluation, chart.figure)
        assert len(read_pages(pdf)) == 1
        # Something coloured beyond grid and text is on the page.
        image = pixels(pdf)
        assert ((image.max(axis=2) - image.min(axis=2)) > 90).sum() > 200, chart.key
        assert chart.alt


def test_each_symbol_is_drawn_as_itself_and_stands_in_the_legend(evaluation: Evaluation) -> None:
    symbols = ["circle", "circle-open", "x", "star-open"]
    figure = go.Figure(
        go.Scatter(
            x=[0, 1, 2, 3], y=[0.5] * 4, mode="markers", name="marks", marker={"color": "#ff0000", "symbol": symbols}
        )
    )  # fmt: skip
    figure.add_scatter(x=[None], y=[None], mode="markers", marker={"color": "#0000ff"}, name="a class")
    figure.update_xaxes(range=[-0.5, 3.5], showticklabels=False)
    figure.update_yaxes(range=[0, 1], showticklabels=False)
    pdf, start = drawn(evaluation, figure)
    image = pixels(pdf)
    red = coloured(image, (255, 0, 0))
    row = round((start + ABOVE + HEIGHT / 2) * MM)
    columns = [round((18 + LEFT + WIDTH * (k + 0.5) / 4) * MM) for k in range(4)]
    reach = 30
    disc, ring, cross, star = (
        red[row - reach : row + reach + 1, column - reach : column + reach + 1] for column in columns
    )
    # A disc and the cross have their colour in the middle, a ring and a star have none.
    assert [bool(mark[reach - 1 : reach + 2, reach - 1 : reach + 2].all()) for mark in (disc, ring)] == [
        True,
        False,
    ]
    assert cross[reach, reach]
    assert not star[reach - 2 : reach + 3, reach - 2 : reach + 3].any()
    # The cross leaves the four sides open, where the ring is closed.
    middle = slice(reach - 1, reach + 2)
    assert ring[middle, :reach].any()
    assert not cross[middle, : reach - 8].any()
    assert disc.sum() > ring.sum() > 50
    assert star.sum() > 50
    assert coloured(image, (0, 0, 255)).sum() > 50
    assert "a class" in read_pages(pdf)[0]
    assert "0.2" not in read_pages(pdf)[0]
