"""Figures show the evaluation's own numbers and stay safe with hostile labels."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from sklearn.metrics import auc

from medmeta.evaluation.result import Evaluation
from medmeta.reports import figures, palette

ALL = (figures.confusion_figure, figures.roc_figure, figures.per_class_figure, figures.comparison_figure)


def contrast(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """WCAG 2.2 contrast ratio of two sRGB colours."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_cell_carries_its_indices_and_its_count(evaluation: Evaluation) -> None:
    figure = figures.confusion_figure(evaluation)
    heat, squares = figure.data
    assert isinstance(heat, go.Heatmap)
    assert np.allclose(
        heat.z, np.array(evaluation.confusion) / np.sum(evaluation.confusion, axis=1, keepdims=True)
    )
    n = len(evaluation.classes)
    assert len(squares.customdata) == n * n
    written = {(note.y, note.x): note.text for note in figure.layout.annotations}
    for x, y, (i, j) in zip(squares.x, squares.y, squares.customdata, strict=True):
        assert (y, x) == (i, j)
        assert written[i, j] == str(evaluation.confusion[i][j])
    assert squares.hoverinfo == "none"
    assert squares.marker.symbol == "square"
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]  # first class on top


def test_selected_cell_is_ringed(evaluation: Evaluation) -> None:
    assert not figures.confusion_figure(evaluation).layout.shapes
    (ring,) = figures.confusion_figure(evaluation, selected=(2, 1)).layout.shapes
    assert (ring.x0, ring.y0) == (pytest.approx(0.52), pytest.approx(1.52))


def test_a_class_without_scans_leaves_an_empty_row(evaluation: Evaluation) -> None:
    confusion = (*evaluation.confusion[:-1], (0, 0, 0, 0))
    assert figures.confusion_figure(replace(evaluation, confusion=confusion)).data[0].z[3] == [0.0] * 4


def test_area_under_each_drawn_curve_is_the_auroc(evaluation: Evaluation) -> None:
    curves = [trace for trace in figures.roc_figure(evaluation).data if trace.name != "guessing"]
    assert len(curves) == 4
    for curve, expected in zip(curves, evaluation.per_class, strict=True):
        assert auc(curve.x, curve.y) == pytest.approx(expected.auroc)
        assert f"({expected.auroc:.2f})" in curve.name


def test_roc_says_so_where_there_is_none(evaluation: Evaluation) -> None:
    without = tuple(replace(item, auroc=None) for item in evaluation.per_class)
    figure = figures.roc_figure(replace(evaluation, per_class=without))
    assert "No ROC curve" in figure.layout.annotations[0].text


def test_dots_and_bars_are_the_intervals(evaluation: Evaluation) -> None:
    dots = [trace for trace in figures.per_class_figure(evaluation).data if trace.x[0] is not None]
    sensitivities = dots[: len(evaluation.classes)]
    for dot, item in zip(sensitivities, evaluation.per_class, strict=True):
        assert item.sensitivity_interval is not None
        assert dot.x[0] == item.sensitivity
        assert dot.x[0] + dot.error_x.array[0] == pytest.approx(item.sensitivity_interval.high)
        assert dot.x[0] - dot.error_x.arrayminus[0] == pytest.approx(item.sensitivity_interval.low)
    ours, theirs = figures.comparison_figure(evaluation).data
    assert ours.x[0] == evaluation.patients.rate
    assert theirs.x[0] == evaluation.comparisons[0].patients.rate


def test_classes_keep_their_colour_between_figures(evaluation: Evaluation) -> None:
    curves = [trace.line.color for trace in figures.roc_figure(evaluation).data][1:]
    dots = [t.marker.color for t in figures.per_class_figure(evaluation).data if t.x[0] is not None][:4]
    assert curves == dots
    assert len(set(curves)) == 4


@pytest.mark.parametrize("draw", ALL)
def test_labels_cannot_carry_markup(evaluation: Evaluation, draw: Any) -> None:
    text = json.dumps(json.loads(draw(evaluation).to_json()))
    assert "<script" not in text
    assert "<a " not in text


@pytest.mark.parametrize("draw", ALL)
def test_figures_are_transparent_and_leave_the_text_colour_to_the_page(
    evaluation: Evaluation, draw: Any
) -> None:
    layout = draw(evaluation).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == palette.CLEAR
    assert layout.font.color is None


@pytest.mark.parametrize(
    ("ground", "ink"), [((255, 255, 255), (22, 32, 43)), ((23, 31, 41), (232, 237, 242))]
)
def test_counts_are_legible_at_every_shade(ground: tuple[int, ...], ink: tuple[int, ...]) -> None:
    """Large text needs 3 to 1 (WCAG 2.2, 1.4.3) on the cell as blended over a light and a dark page."""
    for share in np.linspace(0, 1, 101):
        alpha = 0.06 + 0.94 * share
        cell = tuple(
            alpha * blue + (1 - alpha) * page for blue, page in zip((8, 81, 156), ground, strict=True)
        )
        text = (255, 255, 255) if share >= 0.7 else ink
        assert contrast(cell, text) >= 3.0, share


def test_class_colours_differ_from_either_page() -> None:
    for colour in palette.CLASS_COLOURS:
        rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
        assert contrast(rgb, (255, 255, 255)) >= 2.0
        assert contrast(rgb, (23, 31, 41)) >= 2.5


def test_labels_wrap_after_an_underscore() -> None:
    assert palette.plotly_text("bacterial_pneumonia", 16) == "bacterial_<br>pneumonia"
    assert palette.plotly_text("a b-c_d", 4) == "a b-<br>c_d"


def test_long_labels_wrap_and_are_cut() -> None:
    assert palette.plotly_text("bacterial pneumonia") == "bacterial<br>pneumonia"
    assert len(palette.plotly_text("word " * 200)) < 80
    assert palette.plotly_text("a & <b>") == "a &amp; &lt;b&gt;"
