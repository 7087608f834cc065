"""Where in a scan the answer comes from: asked for by a button, computed as a job, shown over the scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from medmeta.errors import MedMetaError
from medmeta.scans.display import render
from medmeta.ui.guard import Context
from medmeta.ui.job_panel import ended_badly, live_job
from medmeta.ui.text import md
from medmeta.workspace.records import Entry, Job, TaskInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from medmeta.evaluation.explanation import Explanation

HELP = (
    "Integrated gradients through the adapted model: from a scan without structure to this one, how much each place "
    "adds to the lead of the answer over the runner-up."
)


def explanation_panel(context: Context, task: TaskInfo, run: Job, folder: Path, entry: Entry) -> None:
    """A button, then the scan with the places that decided; ``folder`` is the run's."""
    st.markdown("**Where does the answer come from?**", help=HELP)
    jobs = context.jobs.jobs(task.id, "explain")
    live = next((job for job in jobs if job.live), None)
    if live is not None:
        live_job(context, live.id, "Looking for the places that decided", border=False)
        return
    own = [job for job in jobs if job.params == {"run": run.id, "scan": entry.scan_id}]
    latest = own[0] if own else None
    if latest is not None and latest.state == "done":
        _shown(context, latest, entry)
        return
    if latest is not None:
        ended_badly(latest, doing="Explaining the answer", advice="The answer itself is not affected.")
    if st.button("Show the places", icon=":material/my_location:", key=f"explain-{run.id}-{entry.id}"):
        from medmeta.workspace.explaining import explain_work

        work = explain_work(context.store, task.id, folder, entry.scan_id, context.engine.extractor)
        context.jobs.submit("explain", task.id, work, {"run": run.id, "scan": entry.scan_id})
        st.rerun()
    st.caption("Takes some seconds.")


def _shown(context: Context, job: Job, entry: Entry) -> None:
    from medmeta.workspace.explaining import load_explanation

    try:
        told = load_explanation(context.jobs.result(job))
        scan = context.store.scan(entry)
    except MedMetaError as error:
        st.error(md(error), icon=":material/error:")
        return
    if not told.adds_up:
        st.info(
            "Not shown: for this scan the parts do not add up to the answer, so the picture would mislead.",
            icon=":material/info:",
        )
        return
    _overlay(render(scan, frame=scan.central_frame), told, f"opacity-{job.id}")


@st.fragment
def _overlay(picture: NDArray[np.uint8], told: Explanation, key: str) -> None:
    from medmeta.reports.overlay import OVERLAY_LIMITS, overlay_png, overlay_words

    opacity = st.slider("Strength of the colours, in %", 0, 100, 60, key=key)
    st.image(
        overlay_png(picture, told.heat, opacity / 100),
        width="content",
        alt=f"The scan; orange places speak for {told.towards}, blue ones for {told.against}",
    )
    st.caption(md(overlay_words(told)))
    st.caption(f":material/priority_high: {md(OVERLAY_LIMITS)}")
