"""The map of scans as a figure, and what it can and cannot say."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from medmeta.evaluation.result import Evaluation, MapPoint, ScanMap
from medmeta.reports import palette
from medmeta.reports.figures import finish
from medmeta.reports.words import percent

MAP_HELP = (
    "Scans that look alike to the model lie close together. The axes are the two main directions in which its features "
    "differ (principal components), found without the labels: classes lie apart only if they look different."
)

MAP_MARKS = (
    "Discs are scans learned from, open circles the query set, crosses wrong answers, "
    "stars the middle of each class."
)


def map_words(found: ScanMap) -> str:
    """What of the differences the map shows."""
    return (
        f"The plane shows {percent(found.kept)} of the differences between the scans; scans that overlap here may "
        "still differ in the rest, which the model also reads."
    )


def map_figure(evaluation: Evaluation, found: ScanMap, chosen: str | None = None) -> go.Figure:
    """Scans by class; crosses are wrong answers, open marks the query set, stars the middle of a class's support.

    Args:
        evaluation: says which answers were right.
        found: its map.
        chosen: scan id to ring. Every point carries ``customdata = [scan id]``.
    """
    right = {case.scan_id: case.correct for case in evaluation.cases}
    figure = go.Figure()
    for i, label in enumerate(evaluation.classes):
        own = [point for point in found.points if point.label == label]
        figure.add_scatter(
            x=[point.x for point in own],
            y=[point.y for point in own],
            mode="markers",
            marker={
                "size": 11,
                "color": palette.class_colour(i),
                "symbol": [_symbol(right.get(point.scan_id), point.learned) for point in own],
                "line": {"width": 1, "color": palette.class_colour(i)},
            },
            unselected={"marker": {"opacity": 1}},
            customdata=[[point.scan_id] for point in own],
            text=[
                f"{palette.plotly_text(point.file, 40, 2)}<br>{palette.plotly_text(label, 40, 1)}, "
                f"{_told(right.get(point.scan_id), point.learned)}"
                for point in own
            ],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
        # The legend names the colour; the marks of the first scan may be those of a mistake.
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={"size": 11, "color": palette.class_colour(i)},
            name=palette.plotly_text(label, 22, 2),
        )
        middle = _middle(found.points, label)
        if middle is not None:
            figure.add_scatter(
                x=[middle[0]],
                y=[middle[1]],
                mode="markers",
                marker={
                    "size": 20,
                    "symbol": "star-open",
                    "color": palette.class_colour(i),
                    "line": {"width": 2},
                },
                unselected={"marker": {"opacity": 1}},
                hovertemplate=f"middle of {palette.plotly_text(label, 40, 1)}<extra></extra>",
                showlegend=False,
            )
    ringed = next((point for point in found.points if point.scan_id == chosen), None)
    if ringed is not None:
        figure.add_scatter(
            x=[ringed.x],
            y=[ringed.y],
            mode="markers",
            marker={
                "size": 22,
                "symbol": "circle-open",
                "color": palette.CHOSEN,
                "line": {"width": 3},
            },
            unselected={"marker": {"opacity": 1}},
            hoverinfo="skip",
            showlegend=False,
        )
    for update, title in (
        (figure.update_xaxes, "Main direction in which the scans differ"),
        (figure.update_yaxes, "Second direction"),
    ):
        update(
            title={"text": title, "standoff": 16},
            showticklabels=False,
            showgrid=False,
            zeroline=False,
            showline=True,
            linecolor=palette.GRID,
        )
    figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0})
    return finish(figure, height=420)


def _symbol(right: bool | None, learned: bool) -> str:
    if right is False:
        return "x"
    return "circle" if learned else "circle-open"


def _told(right: bool | None, learned: bool) -> str:
    if right is None:
        return "learned from"
    return f"{'left out' if learned else 'query set'}, read {'right' if right else 'wrong'}"


def _middle(points: Sequence[MapPoint], label: str) -> tuple[float, float] | None:
    """Where the middle of a class's support scans lies; None for a class without any."""
    own = [point for point in points if point.label == label and point.learned]
    if not own:
        return None
    return sum(point.x for point in own) / len(own), sum(point.y for point in own) / len(own)
