"""Plotly figures of an `Evaluation`; transparent, so that they sit on a light or a dark page.

Fonts and text colour are left to the page: Streamlit's theme sets them there, the report's script in the report.
"""

from __future__ import annotations

import plotly.graph_objects as go
from sklearn.metrics import roc_curve

from medmeta.evaluation.result import Evaluation, Interval
from medmeta.learners.titles import learner_title
from medmeta.reports import palette
from medmeta.reports.words import decimal, percent, span

#: Share of a row from which the cell is so dark that its count is written in white.
_DARK_CELL = 0.7
_BLUE = "8, 81, 156"
#: Invisible ticks keep labels off the plot.
_SPACED = {"ticks": "outside", "ticklen": 6, "tickcolor": palette.CLEAR}


def confusion_figure(evaluation: Evaluation, selected: tuple[int, int] | None = None) -> go.Figure:
    """Rows are true labels, columns predicted ones; colour is the share of the row, the number its scans.

    A transparent square over each cell carries ``customdata = [true index, predicted index]``, because a
    heatmap's own cells cannot be selected in Streamlit.

    Args:
        evaluation: what was measured.
        selected: (true index, predicted index) of a cell to ring.
    """
    classes, counts = evaluation.classes, evaluation.confusion
    n = len(classes)
    cell = min(84, max(30, 440 // n))
    shares = [[value / sum(row) if sum(row) else 0.0 for value in row] for row in counts]
    figure = go.Figure(
        go.Heatmap(
            x=list(range(n)),
            y=list(range(n)),
            z=shares,
            zmin=0.0,
            zmax=1.0,
            colorscale=[[0.0, f"rgba({_BLUE}, 0.06)"], [1.0, f"rgba({_BLUE}, 1.0)"]],
            showscale=False,
            xgap=2,
            ygap=2,
            hoverinfo="skip",
        )
    )
    places = [(i, j) for i in range(n) for j in range(n)]
    figure.add_scatter(
        x=[j for _, j in places],
        y=[i for i, _ in places],
        mode="markers",
        marker={"symbol": "square", "size": cell - 4, "color": palette.CLEAR, "line": {"width": 0}},
        # The page may dim what was not chosen; nothing is drawn here, so nothing may change.
        unselected={"marker": {"opacity": 0}},
        customdata=[[i, j] for i, j in places],
        hoverinfo="none",
        showlegend=False,
    )
    for i, j in places:
        colour = {"color": "white"} if shares[i][j] >= _DARK_CELL else {}
        figure.add_annotation(
            x=j,
            y=i,
            text=str(counts[i][j]),
            showarrow=False,
            opacity=1.0 if counts[i][j] else 0.45,
            font={"size": max(12, min(20, cell // 4)), **colour},
        )
    if selected is not None:
        i, j = selected
        figure.add_shape(
            type="rect",
            x0=j - 0.48,
            x1=j + 0.48,
            y0=i - 0.48,
            y1=i + 0.48,
            line={"color": palette.CHOSEN, "width": 3},
        )
    axis = {"showgrid": False, "zeroline": False, "tickvals": list(range(n)), **_SPACED}
    figure.update_xaxes(
        title={"text": "Predicted", "standoff": 14},
        ticktext=[
            palette.plotly_text(name, cell // 8) if n <= 5 else palette.plotly_text(name, 18, 1)
            for name in classes
        ],
        tickangle=0 if n <= 5 else -40,
        constrain="domain",
        range=[-0.5, n - 0.5],
        **axis,
    )
    figure.update_yaxes(
        title={"text": "True label", "standoff": 14},
        ticktext=[
            # A row of many is too low for several lines.
            f"{palette.plotly_text(name, 18)}<br>n = {sum(row)}"
            if n <= 5
            else f"{palette.plotly_text(name, 24, 1)}{f' (n = {sum(row)})' if n <= 8 else ''}"
            for name, row in zip(classes, counts, strict=True)
        ],
        scaleanchor="x",
        constrain="domain",
        range=[n - 0.5, -0.5],
        **axis,
    )
    return finish(figure, height=cell * n + 110)


def roc_figure(evaluation: Evaluation) -> go.Figure:
    """One-vs-rest ROC curve of each class that has one; AUROC in the legend."""
    figure = go.Figure()
    diagonal(figure, "guessing")
    curves = 0
    for i, figures in enumerate(evaluation.per_class):
        if figures.auroc is None:
            continue
        curves += 1
        false_rate, true_rate, _ = roc_curve(
            [case.label == figures.label for case in evaluation.cases],
            [case.probabilities[i] for case in evaluation.cases],
        )
        figure.add_scatter(
            x=[float(x) for x in false_rate],
            y=[float(y) for y in true_rate],
            mode="lines",
            line={"color": palette.class_colour(i), "width": 2.5, "dash": palette.class_dash(i)},
            name=f"{palette.plotly_text(figures.label, 22, 2)} ({decimal(figures.auroc)})",
            hovertemplate="1 − specificity %{x:.0%}, sensitivity %{y:.0%}<extra></extra>",
        )
    if curves == 0:
        _say(figure, "No ROC curve: it needs scans of at least two classes")
    share = {
        "range": [-0.02, 1.02],
        "tickformat": ".0%",
        "gridcolor": palette.GRID,
        "showgrid": True,
        "zeroline": False,
    }
    figure.update_xaxes(title={"text": "1 − specificity", "standoff": 12}, **share)
    figure.update_yaxes(title={"text": "Sensitivity", "standoff": 12}, **share)
    # The corner under the curves is free, unless there are many classes.
    inside = {"x": 0.98, "y": 0.04, "xanchor": "right", "yanchor": "bottom"} if curves <= 6 else {}
    figure.update_layout(
        legend={"title": {"text": "AUROC"}, "itemclick": "toggleothers", "bgcolor": palette.CLEAR, **inside}
    )
    return finish(figure, height=400)


def per_class_figure(evaluation: Evaluation) -> go.Figure:
    """Sensitivity (disc) and specificity (open diamond) of each class with their 95 % intervals."""
    figure = go.Figure()
    n = len(evaluation.classes)
    for symbol, name, shift in (("circle", "Sensitivity", -0.16), ("diamond-open", "Specificity", 0.16)):
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={"symbol": symbol, "size": 11, "color": palette.OTHERS},
            name=name,
        )
        for i, figures in enumerate(evaluation.per_class):
            value, interval = (
                (figures.sensitivity, figures.sensitivity_interval)
                if name == "Sensitivity"
                else (figures.specificity, figures.specificity_interval)
            )
            if value is None or interval is None:
                continue
            _dot(
                figure,
                value,
                i + shift,
                interval,
                colour=palette.class_colour(i),
                symbol=symbol,
                text=f"{name} {percent(value)}, 95 % interval {span(interval)}",
            )
    _dot_axes(figure, [palette.plotly_text(name, 22) for name in evaluation.classes])
    return finish(figure, height=96 + 58 * n)


def comparison_figure(evaluation: Evaluation) -> go.Figure:
    """Share of patients right by this model and each simple method on the same patients, with 95 % intervals."""
    figure = go.Figure()
    rows = [(learner_title(evaluation.learner), evaluation.patients, palette.OURS)] + [
        (learner_title(comparison.learner), comparison.patients, palette.OTHERS)
        for comparison in evaluation.comparisons
    ]
    for place, (_, count, colour) in enumerate(rows):
        text = f"{count.correct} of {count.n}"
        _dot(
            figure,
            count.rate,
            place,
            count.interval,
            colour=colour,
            symbol="circle",
            text=f"{text} patients right, 95 % interval {span(count.interval)}",
        )
        figure.add_annotation(
            x=count.rate, y=place, text=text, showarrow=False, yshift=16, font={"size": 12}, xanchor="center"
        )
    names = [palette.plotly_text(name, 24) for name, _, _ in rows]
    names[0] = f"<b>{names[0]}</b>"
    _dot_axes(figure, names)
    figure.update_xaxes(title={"text": "Patients right", "standoff": 12})
    return finish(figure, height=100 + 56 * len(rows))


def _dot(
    figure: go.Figure, x: float, y: float, interval: Interval, *, colour: str, symbol: str, text: str
) -> None:
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="markers",
        marker={"symbol": symbol, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [interval.high - x],
            "arrayminus": [x - interval.low],
            "color": colour,
            "thickness": 2,
            "width": 5,
        },
        hovertemplate=f"{text}<extra></extra>",
        showlegend=False,
    )


def _dot_axes(figure: go.Figure, names: list[str]) -> None:
    figure.update_xaxes(
        range=[-0.02, 1.02], tickformat=".0%", gridcolor=palette.GRID, showgrid=True, zeroline=False
    )
    figure.update_yaxes(
        **_SPACED,
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
    )
    figure.update_layout(legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0})


def _say(figure: go.Figure, sentence: str) -> None:
    figure.add_annotation(text=sentence, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)


def diagonal(figure: go.Figure, name: str = "") -> None:
    """The dotted line that a curve is read against; in the legend where it has a name."""
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": palette.OTHERS, "width": 1, "dash": "dot"},
        name=name,
        hoverinfo="skip",
        showlegend=bool(name),
    )


def finish(figure: go.Figure, height: int) -> go.Figure:
    """What every figure shares: transparent, nothing to drag or zoom."""
    figure.update_xaxes(automargin=True, fixedrange=True)
    figure.update_yaxes(automargin=True, fixedrange=True)
    figure.update_layout(
        height=height,
        margin={"l": 12, "r": 12, "t": 28, "b": 12},
        paper_bgcolor=palette.CLEAR,
        plot_bgcolor=palette.CLEAR,
        hoverlabel={"align": "left"},
        dragmode=False,
    )
    return figure
