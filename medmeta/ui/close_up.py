"""One scan up close: found on the map or in the list, with its answer, its look-alikes and the places that decided."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from medmeta.evaluation.cases import sorted_by_worst
from medmeta.evaluation.result import Evaluation
from medmeta.reports.scan_map import MAP_HELP, MAP_MARKS, map_figure, map_words
from medmeta.ui.cases import case_cards
from medmeta.ui.explanation import explanation_panel
from medmeta.ui.figures import ground, themed
from medmeta.ui.guard import SCANS, Context
from medmeta.ui.text import md
from medmeta.workspace.records import Job, TaskInfo


def choose_point(chart: str, chosen: str, scans: Mapping[str, int]) -> None:
    """Take the clicked point over into the list; a point that was not tested is in no list."""
    event: Any = st.session_state.get(chart)
    points = event["selection"]["points"] if event else []
    if points and "customdata" in points[0]:
        value = points[0]["customdata"]
        scan = value[0] if isinstance(value, list | tuple) else value
        if scan in scans:
            st.session_state[chosen] = scans[scan]


def close_up(
    context: Context,
    task: TaskInfo,
    run: Job,
    evaluation: Evaluation,
    folder: Path,
    thumbnails: Mapping[str, str],
) -> None:
    """The map, the list, and the scan chosen in either."""
    ordered = sorted_by_worst(evaluation)
    chosen = f"scan-{run.id}"
    position = min(int(st.session_state.get(chosen, 0)), len(ordered) - 1)
    st.subheader("One scan up close", anchor=False, help=MAP_HELP)
    map_side, card_side = st.columns([3, 2], gap="large")
    with map_side:
        if evaluation.map is None:
            st.caption("No map: this result was saved by an earlier version. Adapt again to draw it.")
        else:
            chart = f"map-{run.id}-{ground()}"
            places = {case.scan_id: i for i, case in enumerate(ordered)}
            st.plotly_chart(
                themed(map_figure(evaluation, evaluation.map, ordered[position].scan_id)),
                key=chart,
                on_select=lambda: choose_point(chart, chosen, places),
                selection_mode="points",
                config={"displayModeBar": False},
                alt="Map of the scans by likeness. The same scans can be chosen in the list beside it.",
            )
            st.caption(f"{MAP_MARKS} {md(map_words(evaluation.map))}")
    with card_side, st.container(key="close-up"):
        position = st.selectbox(
            "Click a point, or choose a scan, worst mistakes first",
            range(len(ordered)),
            format_func=lambda i: ordered[i].file,
            key=chosen,
        )
        case = ordered[position]
        case_cards([case], evaluation.classes, thumbnails, key=f"card-{chosen}", columns=1)
        entry = next((each for each in context.store.entries(task.id) if each.scan_id == case.scan_id), None)
        if entry is not None:
            context.link(SCANS, "Look at it, or change its label", icon=":material/radiology:", scan=entry.id)
    with map_side:
        if entry is None or context.store.signature(task.id) != run.signature:
            st.caption("Scans or labels have changed: adapt again to ask where this answer comes from.")
        else:
            explanation_panel(context, task, run, folder, entry)
