"""What goes on beside the work once scans are in, the search for burned-in text and the comparing of scans: a line that
never holds anybody up."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from medmeta.ui.guard import Context
from medmeta.ui.text import md
from medmeta.workspace import pixel_text
from medmeta.workspace.records import Entry, TaskInfo
from medmeta.workspace.set_checks import check_task
from medmeta.workspace.volumes import used
from medmeta.workspace.work import look_work


def start_looking(context: Context, task_id: str) -> None:
    """Look for text on the scans nobody has looked at, and compare them; safe to call from a job."""
    context.jobs.submit("text", task_id, look_work(context.store, task_id, context.engine.looks))


def look_over(context: Context, task: TaskInfo, entries: Sequence[Entry]) -> None:
    """How far it is; it starts again where it was interrupted. Always a container, so that what stands below keeps its
    place, and what is open there stays open, when it ends.

    Args:
        entries: all of the task.
    """
    with st.container():
        latest = next(iter(context.jobs.jobs(task.id, "text")), None)
        reading = any(job.live for job in context.jobs.jobs(task.id, "intake"))  # it starts one at its end
        if not reading and (latest is None or not latest.live):
            stopped = latest is not None and latest.state == "interrupted"
            unseen = stopped and pixel_text.unseen(context.store, task.id)
            looks = context.engine.looks
            if unseen or (not looks.at_rest and looks.missing(entries)):
                start_looking(context, task.id)
                latest = context.jobs.jobs(task.id, "text")[0]
        if latest is not None and latest.live:
            _line(context, latest.id, task.id, pixel_text.waiting(context.store, task.id))


@st.fragment(run_every=1.0)
def _line(context: Context, job_id: str, task_id: str, known: int) -> None:
    job = context.jobs.find(job_id)
    if job is not None and job.live:
        unseen = pixel_text.unseen(context.store, task_id)
        then = "; scans are used once they have been looked at" if unseen else ""
        st.caption(f":material/pageview: {md(job.message)}. You can label meanwhile{then}.")
    elif pixel_text.waiting(context.store, task_id) != known or _stray_of(context, job_id, task_id):
        st.rerun()  # a person must look
    elif job is None or job.state != "done":
        st.caption(
            ":material/report: The search for burned-in text did not end. It is caught up on before a model learns."
        )
    elif known:
        st.caption(":material/done: All scans have been searched for burned-in text.")
    else:
        st.caption(":material/done: No burned-in text was found on the new scans.")


def _stray_of(context: Context, job_id: str, task_id: str) -> bool:
    """Whether a job that has just ended found scans that do not belong; asked once, though the line is drawn often."""
    if st.session_state.get("looked-over") == job_id:
        return False
    st.session_state["looked-over"] = job_id
    entries = used([entry for entry in context.store.entries(task_id) if entry.role != "predict"])
    return any(found.kind == "stray" for found in check_task(context.store, entries, context.engine.looks))
