"""A running job on a page: progress, elapsed time, cancel; then one rerun when it has ended."""

from __future__ import annotations

import time

import streamlit as st

from medmeta.ui.guard import Context
from medmeta.ui.text import duration, md
from medmeta.workspace.records import Job


@st.fragment(run_every=0.5)
def live_job(context: Context, job_id: str, title: str, *, border: bool = True) -> None:
    """Follow a job that is at work; reruns the whole page once it has ended.

    The state is read from the workspace each time, so a refreshed page or a second tab shows the same.
    """
    job = context.jobs.find(job_id)
    if job is None or not job.live:
        st.rerun()
    with st.container(border=border):
        head, stop = st.columns([5, 1], vertical_alignment="center")
        elapsed = duration(time.time() - (job.started or job.created))
        head.markdown(f"**{title}** · {elapsed}")
        if stop.button("Cancel", icon=":material/stop_circle:", key=f"cancel-{job_id}", width="stretch"):
            context.jobs.cancel(job_id)
            st.toast("Stopping at the next safe point")
        st.progress(job.fraction, text=md(job.message))


def ended_badly(job: Job, *, doing: str, advice: str) -> None:
    """Say how a job ended that did not finish, and what to do."""
    if job.state == "failed":
        st.error(f"**{doing} did not work.** {md(job.error)}", icon=":material/error:")
        st.caption(advice)
    elif job.state == "interrupted":
        st.warning(
            f"**{doing} was interrupted** because the workbench was closed or restarted. Nothing was lost; "
            "start it again.",
            icon=":material/power_settings_new:",
        )
    elif job.state == "cancelled":
        st.info(
            f"**{doing} was cancelled.** Start it again whenever you like.", icon=":material/stop_circle:"
        )
