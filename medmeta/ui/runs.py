"""Finished runs of a task: which there are, which one the page shows, and whether it is still true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from medmeta.evaluation.result import Evaluation
from medmeta.ui.guard import ADAPT, Context
from medmeta.ui.text import clock, duration
from medmeta.workspace.records import Job, TaskInfo
from medmeta.workspace.run import load_run, load_thumbnails


def named_job(context: Context, task: TaskInfo, kind: str) -> Job | None:
    """The job the address names if it is this task's and of this kind, else the latest one."""
    wanted = st.query_params.get("job")
    jobs = context.jobs.jobs(task.id, kind)
    return next((job for job in jobs if job.id == wanted), jobs[0] if jobs else None)


def pick_run(context: Context, task: TaskInfo, *, label: str = "Result of") -> Job | None:
    """The finished run to work with; a choice is drawn only where there is more than one."""
    done = [job for job in context.jobs.jobs(task.id, "adapt") if job.state == "done"]
    if not done:
        return None
    wanted = st.query_params.get("job")
    start = next((position for position, job in enumerate(done) if job.id == wanted), 0)
    chosen = done[start]
    if len(done) > 1:
        position = st.selectbox(
            label,
            range(len(done)),
            index=start,
            format_func=lambda i: f"{clock(done[i].created)}{' (latest)' if i == 0 else ''}",
            key=f"run-{task.id}-{done[0].id}",
            width=320,
        )
        chosen = done[position]
    st.query_params["job"] = chosen.id
    return chosen


def stale_notice(context: Context, task: TaskInfo, job: Job) -> None:
    """Say when scans or labels have changed since the run."""
    if context.store.signature(task.id) != job.signature:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(
                "Scans or labels have changed since this result. Adapt again to bring it up to date.",
                icon=":material/update:",
            )
            context.link(ADAPT, "Adapt again", icon=":material/refresh:")


@st.cache_data(show_spinner=False, max_entries=8)
def cached_run(folder: str) -> Evaluation:
    """The evaluation of a run; a run never changes once written."""
    return load_run(Path(folder))


@st.cache_data(show_spinner=False, max_entries=4)
def cached_thumbnails(folder: str) -> Mapping[str, bytes]:
    return load_thumbnails(Path(folder))


def took(job: Job) -> str:
    """Wall time of a job."""
    return duration((job.finished or job.created) - (job.started or job.created))
