"""The task itself: its name, its classes with counts and descriptions, and how to delete it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from medmeta.ui.guard import Context, choose
from medmeta.ui.text import count, md
from medmeta.workspace.records import TaskInfo
from medmeta.workspace.volumes import Volume


def heading(context: Context, task: TaskInfo, title: str) -> None:
    """Title of the page, the task's name beside it."""
    st.title(title, anchor=False)
    badge = " :gray-badge[:material/science: synthetic sample, no real patient]" if task.synthetic else ""
    st.markdown(f"Task: **{md(task.name)}**{badge}")


#: State of the settings: open or closed.
_SETTINGS = "task-settings"


def task_settings(context: Context, task: TaskInfo) -> None:
    """Rename and delete, tucked away."""
    with st.popover("Task settings", icon=":material/settings:", key=_SETTINGS, on_change="rerun"):
        name = st.text_input("Name of the task", task.name, max_chars=80, key=f"name-{task.id}-{task.name}")
        if name and name.strip() and name.strip() != task.name:
            context.store.rename_task(task.id, name)
            st.rerun()
        removed = context.store.removed_count(task.id)
        if removed and st.button(
            f"Delete {count(removed, 'removed scan')} from the disk",
            icon=":material/delete_sweep:",
            help="Removed scans can come back by undo until this is done.",
        ):
            context.store.forget(task.id)
            st.rerun()
        if st.button(
            "Delete this task…", icon=":material/delete_forever:", key="delete-task", on_click=_close_settings
        ):
            _confirm_delete(context, task)


def _close_settings() -> None:
    st.session_state[_SETTINGS] = False  # open, it would cover the question


@st.dialog("Delete this task?")
def _confirm_delete(context: Context, task: TaskInfo) -> None:
    st.markdown(
        f"**{md(task.name)}** with {count(task.support + task.query, 'scan')}, its labels and all its results "
        "will be deleted from this machine. This cannot be undone. Your original files are not touched."
    )
    with st.container(horizontal=True):
        if st.button("Delete for good", type="primary", icon=":material/delete_forever:"):
            context.store.delete_task(task.id)  # its jobs notice, and stop
            choose(None)
            st.switch_page("app.py")
        if st.button("Keep it"):
            st.rerun()


def class_overview(context: Context, task: TaskInfo, volumes: Sequence[Volume]) -> None:
    """Scans and patients of each class, and a description to type beside it. A series counts once."""
    scans: Counter[str] = Counter()
    patients: dict[str, set[str]] = defaultdict(set)
    for volume in (each for each in volumes if each.used):
        for label in {entry.label for entry in volume.entries if entry.label is not None}:
            scans[label] += 1
            patients[label].add(volume.key.group)
    labels = sorted(scans)
    texts = context.store.descriptions(task.id)
    if labels:
        table = pd.DataFrame(
            {
                "class": labels,
                "scans": [scans[label] for label in labels],
                "patients": [len(patients[label]) for label in labels],
                "description": [texts.get(label, "") for label in labels],
            }
        )
        key = f"classes-{task.id}-{st.session_state.setdefault('class-turn', 0)}"
        st.data_editor(
            table,
            key=key,
            hide_index=True,
            height="content",
            disabled=["class", "scans", "patients"],
            column_config={
                "class": st.column_config.TextColumn("Class", width=140),
                "scans": st.column_config.NumberColumn("Scans", width=60),
                "patients": st.column_config.NumberColumn("Patients", width=70),
                "description": st.column_config.TextColumn(
                    "Description", help="What it looks like, in your words. Optional.", max_chars=2000
                ),
            },
            on_change=_described,
            args=(context, task, key, labels),
        )
    people = len({volume.key.group for volume in volumes})
    scouts = sum(not volume.used for volume in volumes)
    without = sum(volume.label is None for volume in volumes)
    left = f", **{without} without a label**" if without else ""
    files, series = sum(len(volume.entries) for volume in volumes), sum(v.is_series for v in volumes)
    st.caption(
        f"{count(len(volumes), 'scan')} of {count(people, 'patient')}{left}"
        + (f" · {count(scouts, 'localizer')} left out" if scouts else "")
        + (f" · {count(series, 'series', 'series')}, {files} files in all" if series else "")
    )


def _described(context: Context, task: TaskInfo, key: str, labels: Sequence[str]) -> None:
    edits = st.session_state.get(key, {}).get("edited_rows", {})
    for position, values in edits.items():
        if "description" in values and int(position) < len(labels):
            context.store.describe(task.id, labels[int(position)], values["description"] or "")
    st.session_state["class-turn"] = st.session_state.get("class-turn", 0) + 1
