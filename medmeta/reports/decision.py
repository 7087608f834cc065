"""A threshold and its net benefit in plain words, and the plots beside it."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from medmeta.evaluation.decision import AbstentionPoint, ThresholdPoint, ThresholdRates, threshold_point
from medmeta.evaluation.notes import quoted
from medmeta.evaluation.result import Evaluation, ReliabilityPoint
from medmeta.reports import palette
from medmeta.reports.figures import diagonal, finish
from medmeta.reports.words import percent, span

FLATTERED = (
    "A threshold chosen here is flattered, because it is chosen on the same scans it is then judged by: "
    "confirm it on new patients."
)
_SHARE = {"tickformat": ".0%", "gridcolor": palette.GRID, "showgrid": True, "zeroline": False}


def found_words(point: ThresholdPoint, rates: ThresholdRates) -> tuple[str, str]:
    """k of n scans of the class found, and k of n others wrongly called, each with its interval."""
    own, others = point.true_calls + point.missed, point.false_calls + point.spared
    return (
        f"{point.true_calls} of {own} scans found, in {rates.patients} patients. Sensitivity "
        f"{percent(rates.sensitivity)}, 95 % interval {span(rates.sensitivity_interval)}.",
        f"{point.false_calls} of {others} other scans wrongly called, in {rates.other_patients} patients. "
        f"Specificity {percent(rates.specificity)}, 95 % interval {span(rates.specificity_interval)}.",
    )


def benefit_rows(point: ThresholdPoint) -> tuple[tuple[str, str], ...]:
    """What each policy brings, in true calls without a false one per 100 people examined."""
    policies = (
        (f"Call from {percent(point.threshold)} on", point.net_benefit),
        ("Call everybody", point.call_all),
        ("Call nobody", 0.0),
    )
    return tuple((name, _hundred(value)) for name, value in policies)


def benefit_words(point: ThresholdPoint, label: str, prevalence: float) -> str:
    """What the net benefit means, in one sentence."""
    price = (1 - point.threshold) / point.threshold
    calls = f"{price:.0f}" if price >= 10 else f"{price:.1f}".removesuffix(".0")
    fair = "1 false call weighs" if calls == "1" else f"{calls} false calls weigh"
    given = (
        f"If {100 * prevalence:g} in 100 people examined have {quoted(label)} and {fair} as much as one true "
        "call (what this threshold says)"
    )
    best, name = max((0.0, "calling nobody"), (point.call_all, "calling everybody"))
    if point.net_benefit > best:
        return (
            f"{given}, the model brings {_hundred(point.net_benefit - best)} more true calls per 100 people than "
            f"{name}, the better of doing without it."
        )
    return f"{given}, the model brings nothing here: {name} does as well or better."


def abstention_figure(curve: Sequence[AbstentionPoint], fewest: int) -> go.Figure:
    """Share of patients answered against the share right among them; points with fewer than ``fewest`` left out."""
    everyone = max(point.answered for point in curve)
    kept = [point for point in curve if point.answered >= fewest]
    shares = [point.right / point.answered for point in kept]
    figure = go.Figure(
        go.Scatter(
            x=[point.answered / everyone for point in kept],
            y=shares,
            mode="lines+markers",
            line={"color": palette.OURS, "width": 2},
            marker={"size": 8},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [point.interval.high - share for point, share in zip(kept, shares, strict=True)],
                "arrayminus": [share - point.interval.low for point, share in zip(kept, shares, strict=True)],
                "color": palette.OTHERS,
                "thickness": 1,
                "width": 3,
            },
            text=[
                f"{point.right} of {point.answered} answered patients right, {everyone - point.answered} declined"
                f"<br>95 % interval {span(point.interval)}"
                f"<br>answers from a probability of {percent(point.threshold)} on"
                for point in kept
            ],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_xaxes(title={"text": "Patients answered", "standoff": 12}, range=[1.04, 0], **_SHARE)
    figure.update_yaxes(title={"text": "Right among them", "standoff": 12}, range=[-0.02, 1.04], **_SHARE)
    return finish(figure, height=340)


def net_benefit_figure(evaluation: Evaluation, labels: Sequence[str], prevalence: float) -> go.Figure:
    """Decision curves: net benefit per 100 people at every threshold, for each of ``labels`` and for calling all.

    References:
        Vickers AJ, Elkin EB. Medical Decision Making 2006;26:565-574.
    """
    thresholds = [step / 100 for step in range(1, 100)]
    figure = go.Figure()
    policies: list[tuple[str, list[float], dict[str, object]]] = []
    for label in labels:
        points = [
            threshold_point(evaluation.cases, evaluation.classes, label, threshold, prevalence)
            for threshold in thresholds
        ]
        if not policies:
            everybody = [point.call_all for point in points]
            policies.append(("everybody", everybody, {"color": palette.OTHERS, "width": 1.5, "dash": "dash"}))
        index = evaluation.classes.index(label)
        line = {"color": palette.class_colour(index), "width": 2, "dash": palette.class_dash(index)}
        policies.append((label, [point.net_benefit for point in points], line))
    policies.append(
        ("nobody", [0.0] * len(thresholds), {"color": palette.OTHERS, "width": 1.5, "dash": "dot"})
    )
    for name, values, line in policies:
        figure.add_scatter(
            x=thresholds,
            y=[100 * value for value in values],
            mode="lines",
            line=line,
            name=palette.plotly_text(name, 22, 2),
            hovertemplate="from %{x:.0%}: %{y:.1f} per 100<extra></extra>",
        )
    # What a policy loses without end at high thresholds would flatten what matters.
    top = 100 * prevalence
    figure.update_xaxes(
        title={"text": "Called from this probability on", "standoff": 12}, range=[0, 1], **_SHARE
    )
    figure.update_yaxes(
        title={"text": "Net benefit per 100 people", "standoff": 12},
        range=[-0.6 * top, 1.1 * top],
        gridcolor=palette.GRID,
        showgrid=True,
        zeroline=False,
    )
    return finish(figure, height=360)


def reliability_figure(points: Sequence[ReliabilityPoint]) -> go.Figure:
    """How sure the answers were against how often they were right; the diagonal is what it should be."""
    figure = go.Figure()
    diagonal(figure)
    figure.add_scatter(
        x=[point.confidence for point in points],
        y=[point.right for point in points],
        mode="lines+markers+text",
        line={"color": palette.OURS, "width": 2},
        marker={"size": 9},
        text=[f"n = {point.n_scans}" for point in points],
        textposition="bottom center",
        hovertemplate="probability %{x:.0%}, right %{y:.0%}, %{text} scans<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title={"text": "How sure it was", "standoff": 12}, range=[-0.02, 1.04], **_SHARE)
    figure.update_yaxes(title={"text": "How often right", "standoff": 12}, range=[-0.02, 1.04], **_SHARE)
    return finish(figure, height=340)


def _hundred(value: float) -> str:
    """Per 100 people, one decimal, with a true minus."""
    rounded = round(100 * value, 1)
    return f"{abs(rounded):.1f}" if rounded >= 0 else f"−{abs(rounded):.1f}"
