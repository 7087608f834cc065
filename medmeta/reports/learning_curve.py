"""Would more scans help, and of which class: one sentence, and the learning curve behind it."""

from __future__ import annotations

import plotly.graph_objects as go

from medmeta.evaluation.notes import quoted
from medmeta.evaluation.result import Growth, LearningCurve
from medmeta.reports import palette
from medmeta.reports.figures import finish
from medmeta.reports.words import percent, points, span

#: A gain that is below this, at the upper end of its interval, is not worth collecting scans for.
LITTLE = 0.05
CURVE_HELP = (
    "Learning curve. Smaller sets were drawn from your scans again and again, and each time the model adapted to them "
    "and read patients it had not learned from. Bars are 95 % intervals counted by those patients: however often sets "
    "are drawn, the patients stay the same few."
)


def more_scans_words(curve: LearningCurve) -> str:
    """Whether more scans would help, and of which class, in one sentence."""
    all_together = curve.growth("balanced accuracy")
    most = all_together.points[-1].shots
    half = -(-most // 2)
    gain = (
        f"{points_word(all_together.gain)} with {most} instead of {half} patients of each class, 95 % interval "
        f"{points(all_together.gain_interval)}"
    )
    which = bottleneck(curve)
    if all_together.gain_interval.low > 0:
        said = f"More scans would probably help (the average class was found more often by {gain})"
        if which is None:
            return f"{said}; {_unknown(curve)}."
        return f"{said}, above all of {quoted(which.of)} ({_own(which)})."
    if which is not None:
        return (
            f"More scans of {quoted(which.of)} would probably help ({_own(which)}); of all classes alike, that cannot "
            f"be told (the average class changed by {gain})."
        )
    if all_together.gain_interval.high < LITTLE:
        return (
            f"More scans of the same kind would probably change little (the average class changed by {gain})."
        )
    what = ", and of which class," if _by_class(curve) else ""
    return (
        f"Whether more scans would help{what} cannot be told from so few patients (the average class changed by "
        f"{gain})."
    )


def _by_class(curve: LearningCurve) -> bool:
    return any(growth.of for growth in curve.growths)


def _unknown(curve: LearningCurve) -> str:
    if _by_class(curve):
        return "of which class they should be cannot be told from so few patients"
    return "with so many scans or classes it was not measured class by class"


def points_word(gain: float) -> str:
    """``"9 points"``, ``"−1 point"``."""
    rounded = round(100 * gain)
    return f"{'−' if rounded < 0 else ''}{abs(rounded)} point{'' if abs(rounded) == 1 else 's'}"


def bottleneck(curve: LearningCurve) -> Growth | None:
    """The class whose own patients brought the average class most, if beyond chance; None where that is open."""
    grown = [each for each in curve.growths if each.of and each.figure == "balanced accuracy"]
    sure = [each for each in grown if each.gain_interval.low > 0]
    return max(sure, key=lambda each: each.gain, default=None)


def learning_curve_figure(curve: LearningCurve) -> go.Figure:
    """Share right against patients learned from: the average class as all grow, and each class as its own grow."""
    figure = go.Figure()
    _line(figure, curve.growth("balanced accuracy"), "all classes grow", palette.OTHERS, "solid", 3, 0.0)
    grown = [each for each in curve.growths if each.figure == "sensitivity"]
    for i, growth in enumerate(grown):
        _line(
            figure,
            growth,
            f"{palette.plotly_text(growth.of, 22, 2)}: its own grow",
            palette.class_colour(i),
            "dash" if palette.class_dash(i) == "solid" else palette.class_dash(i),
            2,
            # Side by side, so that no bar hides another.
            0.02 * (i + 1),
        )
    shots = sorted({point.shots for growth in curve.growths for point in growth.points})
    figure.update_xaxes(
        title={"text": "Patients of a class learned from", "standoff": 12},
        type="log",
        tickvals=shots,
        ticktext=[str(size) for size in shots],
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(
        title={"text": "Left-out patients right", "standoff": 12},
        range=[-0.02, 1.04],
        tickformat=".0%",
        gridcolor=palette.GRID,
        showgrid=True,
        zeroline=False,
    )
    figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0})
    return finish(figure, height=380)


def _own(growth: Growth) -> str:
    most = growth.points[-1].shots
    return (
        f"with {most} instead of {-(-most // 2)} patients of it, the others unchanged, the average class was found "
        f"more often by {points_word(growth.gain)}, interval {points(growth.gain_interval)}"
    )


def _line(
    figure: go.Figure, growth: Growth, name: str, colour: str, dash: str, width: float, shift: float
) -> None:
    figure.add_scatter(
        x=[point.shots * (1 + shift) for point in growth.points],
        y=[point.share for point in growth.points],
        mode="lines+markers",
        line={"color": colour, "width": width, "dash": dash},
        marker={"size": 8},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [point.interval.high - point.share for point in growth.points],
            "arrayminus": [point.share - point.interval.low for point in growth.points],
            "color": colour,
            "thickness": 1,
            "width": 4,
        },
        name=name,
        text=[
            f"{point.shots} patient{'' if point.shots == 1 else 's'}: {percent(point.share)} right"
            f"<br>95 % interval {span(point.interval)}"
            for point in growth.points
        ],
        hovertemplate="%{text}<extra></extra>",
    )
