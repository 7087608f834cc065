"""Does it depend on whom it learned from: sentences, and how often each patient was right."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from medmeta.evaluation.result import PatientRepeats, RepeatedFolds
from medmeta.reports import palette
from medmeta.reports.figures import finish
from medmeta.reports.palette import shortened
from medmeta.reports.words import patients, percent, span

REPEATS_HELP = (
    "Repeated stratified cross-validation. The patients are divided into groups of about the same mixture, and each "
    "group is read by a model adapted to the others; then they are divided anew. No patient is ever read by a model "
    "that had learned from it. However often they are divided, the patients stay the same few, and the interval counts "
    "them once."
)
#: Patients named in a sentence.
NAMED = 6


def repeats_words(found: RepeatedFolds) -> tuple[str, ...]:
    """How much the figure moves, and for which patients."""
    times, n = len(found.right), len(found.patients)
    low, high = min(found.right), max(found.right)
    counted = str(low) if low == high else f"{low} to {high}"
    sure = [item for item in found.patients if item.right == times]
    never = [item for item in found.patients if item.right == 0]
    open_ = [item for item in found.patients if 0 < item.right < times]
    said = [
        f"Divided {times} times into {found.folds} groups, {counted} of {patients(n)} were right, "
        f"{percent(found.share)} on average (95 % interval {span(found.interval)}).",
        f"Right every time: {len(sure)}. Never right: {len(never)}{_named(never)}.",
    ]
    if open_:
        said.append(
            f"Right or wrong, depending on whom the model had learned from: {len(open_)}{_named(open_)}."
        )
    return tuple(said)


def repeats_figure(found: RepeatedFolds, classes: Sequence[str]) -> go.Figure:
    """Patients by how often they were right, the surest first; ``text`` names the patient."""
    figure, times = go.Figure(), len(found.right)
    for i, label in enumerate(classes):
        own = [(place, item) for place, item in enumerate(found.patients, start=1) if item.label == label]
        figure.add_scatter(
            x=[place for place, _ in own],
            y=[item.right / times for _, item in own],
            mode="markers",
            marker={"size": 9, "color": palette.class_colour(i)},
            name=palette.plotly_text(label, 22, 2),
            hovertext=[
                f"{palette.plotly_text(item.group, 40, 2)}<br>{palette.plotly_text(label, 40, 1)}, right in "
                f"{item.right} of {times} divisions"
                for _, item in own
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    figure.update_xaxes(
        title={"text": "Patients, the surest first", "standoff": 12},
        range=[0, len(found.patients) + 1],
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(
        title={"text": "Divisions that had the patient right", "standoff": 12},
        range=[-0.05, 1.05],
        tickformat=".0%",
        gridcolor=palette.GRID,
        showgrid=True,
        zeroline=False,
    )
    figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0})
    return finish(figure, height=320)


def _named(some: Sequence[PatientRepeats]) -> str:
    if not some:
        return ""
    names = ", ".join(shortened(item.group, 40) for item in some[:NAMED])
    more = len(some) - NAMED
    return f" ({names}{f' and {more} more' if more > 0 else ''})"
