"""The de-identification report of a task, to download."""

from __future__ import annotations

import streamlit as st

from medmeta.reports.deidentification import as_html, as_json
from medmeta.ui.guard import Context
from medmeta.workspace.deid_report import report_of_task
from medmeta.workspace.records import TaskInfo


def deid_panel(context: Context, task: TaskInfo) -> None:
    """Two small download buttons; the report is made when one is pressed."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            ":material/shield: De-identification report",
            help="What is kept of the files, what is replaced and what is dropped, clause by clause of the DICOM "
            "standard (PS3.15 Annex E), with counts and decisions about burned-in text. For data protection.",
            width="content",
        )
        st.download_button(
            "HTML",
            lambda: as_html(report_of_task(context.store, task.id)),
            "deidentification.html",
            "text/html",
            type="tertiary",
            on_click="ignore",
            key="deid-html",
        )
        st.download_button(
            "JSON",
            lambda: as_json(report_of_task(context.store, task.id)),
            "deidentification.json",
            "application/json",
            type="tertiary",
            on_click="ignore",
            key="deid-json",
        )
