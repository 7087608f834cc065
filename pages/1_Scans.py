"""Scans: add, check, label, look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from medmeta.ui.empty import need_task
from medmeta.ui.guard import ADAPT, Context, open_page
from medmeta.ui.labelling import labelling
from medmeta.ui.scan_table import open_scan, scan_table
from medmeta.ui.task_panel import class_overview, heading, task_settings
from medmeta.ui.text import md
from medmeta.ui.upload_panel import notices_panel, upload_panel
from medmeta.ui.viewer import viewer
from medmeta.workspace import readiness
from medmeta.workspace.records import Entry, Role
from medmeta.workspace.volumes import Volume, volumes

WAYS = {
    "table": ":material/table_rows: Table",
    "one": ":material/keyboard: Label one by one",
}


def main() -> None:
    context = open_page("Scans")
    need_task(context)
    task = context.task
    if task is None:
        return
    context.store.touch(task.id)
    entries = context.store.entries(task.id)
    everything = volumes(entries)
    of_role: dict[Role, list[Volume]] = {
        "support": [scan for scan in everything if scan.key.role == "support"],
        "query": [scan for scan in everything if scan.key.role == "query"],
    }
    title_side, settings_side = st.columns([5, 4], vertical_alignment="center")
    with title_side:
        heading(context, task, "Scans")
    with settings_side:
        task_settings(context, task)
    names: dict[Role, str] = {
        "support": f"To learn from ({len(of_role['support'])})",
        "query": f"To test on ({len(of_role['query'])})",
    }
    roles: list[Role] = ["support", "query"]
    follow_address(task.id, of_role)
    role_side, way_side = st.columns([5, 4], vertical_alignment="bottom")
    chosen = role_side.segmented_control(
        "What are these scans for?",
        roles,
        format_func=lambda key: names[key],
        required=True,
        key=f"role-{task.id}",
        help="Test scans are optional. Without them, each patient in turn is set aside for testing.",
    )
    role: Role = chosen or "support"
    scans = of_role[role]
    way = (
        "table"
        if not scans
        else way_side.segmented_control(
            "Way of working",
            ["table", "one"],
            format_func=lambda key: WAYS[key],
            required=True,
            key=f"way-{task.id}",
            label_visibility="collapsed",
        )
    )
    remember("role", role, "support")
    remember("way", way, "table")
    if way == "one":
        notices_panel(context, task, role, entries, folded=True)
        labelling(context, task, role, lambda: next_step(context, context.store.entries(task.id)))
        return
    with st.container(border=True):
        reading = upload_panel(
            context,
            task,
            role,
            hint="Names, dates and numbers are removed while the files are read. Folder names or a labels.csv "
            "(file,label,group) give the labels.",
        )
    notices_panel(context, task, role, entries)
    if not scans and reading:
        return
    if not scans:
        step = context.store.edit_step(task.id)
        if step.undo and st.button(f"Undo: {md(step.undo)}", icon=":material/undo:"):
            context.store.undo(task.id)
            st.rerun()
        st.info(
            "No scans yet. Drop files, a folder or a ZIP above."
            if role == "support"
            else "No test scans. They are optional: add scans of other patients, with labels, to test on them.",
            icon=":material/upload_file:",
        )
        return
    st.subheader("Classes", anchor=False)
    class_overview(context, task, scans)
    st.subheader("Scans", anchor=False)
    table_side, viewer_side = st.columns([5, 4], gap="medium")
    with table_side:
        opened = scan_table(context, task, scans, role)
    with viewer_side:
        if opened is not None:
            viewer(context, opened, scans)
    next_step(context, entries)


def follow_address(task_id: str, of_role: Mapping[Role, Sequence[Volume]]) -> None:
    """Begin where the address says: on one side of the task, in one way of working, at one scan."""
    role_key, way_key = f"role-{task_id}", f"way-{task_id}"
    st.session_state.setdefault(role_key, "query" if st.query_params.get("role") == "query" else "support")
    st.session_state.setdefault(way_key, "one" if st.query_params.get("way") == "one" else "table")
    asked: str | None = st.query_params.pop(
        "scan", None
    )  # followed once: a refresh begins where the person is by then
    for role, scans in of_role.items() if asked else ():
        for scan in scans:
            if asked in [str(entry_id) for entry_id in scan.ids]:
                st.session_state[role_key], st.session_state[way_key] = role, "table"
                open_scan(task_id, scans, role, scan)


def remember(name: str, value: str | None, usual: str) -> None:
    """Keep a choice in the address, so that a refresh finds it."""
    if value != usual and value is not None:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def next_step(context: Context, entries: Sequence[Entry]) -> None:
    """What is missing before adapting, or the way on."""
    st.divider()
    state = readiness.check(entries)
    if state.ready:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(":green[:material/check_circle:] **Ready.** The scans can be learned from.")
            context.link(ADAPT, "Next: adapt", icon=":material/arrow_forward:")
    else:
        st.markdown(f":orange[:material/pending:] **Before adapting:** {md(state.problems[0])}")


main()
