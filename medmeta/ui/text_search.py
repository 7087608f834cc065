"""The search for burned-in text as it goes on beside the work: a line that never holds anybody up."""

from __future__ import annotations

import streamlit as st

from medmeta.ui.guard import Context
from medmeta.ui.text import md
from medmeta.workspace import pixel_text
from medmeta.workspace.records import TaskInfo
from medmeta.workspace.work import text_work


def start_search(context: Context, task_id: str) -> None:
    """Look for text on the scans nobody has looked at; safe to call from a job."""
    context.jobs.submit("text", task_id, text_work(context.store, task_id))


def text_search(context: Context, task: TaskInfo) -> None:
    """How far the search is; it starts again where it was interrupted. Always a container, so that what stands below
    keeps its place, and what is open there stays open, when the search ends."""
    with st.container():
        latest = next(iter(context.jobs.jobs(task.id, "text")), None)
        if latest is not None and latest.state == "interrupted" and pixel_text.unseen(context.store, task.id):
            start_search(context, task.id)
            latest = context.jobs.jobs(task.id, "text")[0]
        if latest is not None and latest.live:
            _line(context, latest.id, task.id, pixel_text.waiting(context.store, task.id))


@st.fragment(run_every=1.0)
def _line(context: Context, job_id: str, task_id: str, known: int) -> None:
    job = context.jobs.find(job_id)
    if job is not None and job.live:
        st.caption(
            f":material/text_fields: {md(job.message)}. You can label meanwhile; scans are used once they have been "
            "looked at."
        )
    elif pixel_text.waiting(context.store, task_id) != known:
        st.rerun()  # a person must look
    elif job is not None and job.state == "done":
        st.caption(":material/done: No burned-in text was found on the new scans.")
    else:
        st.caption(
            ":material/report: The search for burned-in text did not end. It is made up for before a model learns."
        )
