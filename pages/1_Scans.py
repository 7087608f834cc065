"""Scans: add, check, label, look."""

from __future__ import annotations

import streamlit as st

from medmeta.ui.empty import need_task
from medmeta.ui.guard import ADAPT, open_page
from medmeta.ui.scan_table import scan_table
from medmeta.ui.task_panel import class_overview, heading, task_settings
from medmeta.ui.text import md
from medmeta.ui.upload_panel import notices_panel, upload_panel
from medmeta.ui.viewer import viewer
from medmeta.workspace import readiness
from medmeta.workspace.records import Entry, Role


def main() -> None:
    context = open_page("Scans")
    need_task(context)
    task = context.task
    if task is None:
        return
    context.store.touch(task.id)
    everything = context.store.entries(task.id)
    of_role: dict[Role, list[Entry]] = {
        "support": [entry for entry in everything if entry.role == "support"],
        "query": [entry for entry in everything if entry.role == "query"],
    }
    title_side, settings_side = st.columns([5, 1], vertical_alignment="center")
    with title_side:
        heading(context, task, "Scans")
    with settings_side:
        task_settings(context, task)
    names: dict[Role, str] = {
        "support": f"To learn from ({len(of_role['support'])})",
        "query": f"To test on ({len(of_role['query'])})",
    }
    roles: list[Role] = ["support", "query"]
    role = st.segmented_control(
        "What are these scans for?",
        roles,
        format_func=lambda key: names[key],
        default="support",
        required=True,
        key=f"role-{task.id}",
        help="Test scans are optional. Without them, each patient in turn is set aside for testing.",
    )
    entries = of_role[role]
    with st.container(border=True):
        reading = upload_panel(
            context,
            task,
            role,
            hint="Names, dates and numbers are removed while the files are read. Folder names or a labels.csv "
            "(file,label,group) give the labels.",
        )
    notices_panel(context, task, role)
    if not entries and reading:
        return
    if not entries:
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
    class_overview(context, task, entries)
    st.subheader("Scans", anchor=False)
    table_side, viewer_side = st.columns([5, 4], gap="medium")
    with table_side:
        opened = scan_table(context, task, entries, role)
    with viewer_side:
        if opened is not None:
            viewer(context, opened)
    st.divider()
    state = readiness.check(everything)
    if state.ready:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(":green[:material/check_circle:] **Ready.** The scans can be learned from.")
            context.link(ADAPT, "Next: adapt", icon=":material/arrow_forward:")
    else:
        st.markdown(f":orange[:material/pending:] **Before adapting:** {md(state.problems[0])}")


main()
