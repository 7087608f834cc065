"""Predict: new scans through an adapted model."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import streamlit as st

from medmeta.errors import MedMetaError
from medmeta.evaluation.conformal import ConformalRule, conformal_rule
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports.words import headline, span
from medmeta.ui.downloads import file_stem, readings_download
from medmeta.ui.empty import empty_state, need_task
from medmeta.ui.explanation import explanation_panel
from medmeta.ui.guard import ADAPT, Context, open_page
from medmeta.ui.job_panel import ended_badly, live_job
from medmeta.ui.readings import reading_cards
from medmeta.ui.runs import cached_run, cached_thumbnails, pick_run, stale_notice
from medmeta.ui.scan_table import data_uri
from medmeta.ui.sets import sets_panel
from medmeta.ui.task_panel import heading
from medmeta.ui.text import count, md
from medmeta.ui.upload_panel import notices_panel, upload_panel
from medmeta.ui.viewer import viewer
from medmeta.workspace.reading import Reading, load_readings, readings_csv
from medmeta.workspace.records import Entry, Job, TaskInfo, WorkspaceError
from medmeta.workspace.volumes import Volume, volumes
from medmeta.workspace.work import predict_work


def known_readings(context: Context, task: TaskInfo, run: Job) -> dict[str, Reading]:
    """What this run's model has said about the task's new scans so far, by scan id."""
    said: dict[str, Reading] = {}
    for job in reversed(context.jobs.jobs(task.id, "predict")):
        if job.state == "done" and job.params.get("run") == run.id:
            with suppress(WorkspaceError):  # lost from the disk: these scans can be read again
                said |= {reading.scan_id: reading for reading in load_readings(context.jobs.result(job))}
    return said


def read_button(context: Context, task: TaskInfo, run: Job, folder: Path, unread: list[Entry]) -> None:
    """Start reading the scans that have no answer yet."""
    if unread and st.button(
        f"Read {count(len(unread), 'scan')}", type="primary", icon=":material/play_arrow:", key="read"
    ):
        work = predict_work(context.store, task.id, folder, context.engine.extractor)
        context.jobs.submit("predict", task.id, work, {"run": run.id})
        st.rerun()


def answers(
    context: Context,
    task: TaskInfo,
    run: Job,
    scans: list[Volume],
    said: dict[str, Reading],
    folder: Path,
    rule: ConformalRule | None,
    learner: str,
) -> None:
    """Cards on the left, the viewer on the right, then what can be taken away."""
    home = {entry.id: scan for scan in scans for entry in scan.used}
    read = [entry for scan in scans for entry in scan.used if entry.scan_id in said]
    if not read:
        return
    st.subheader("What the model says", anchor=False)
    st.caption(f":material/science: {RESEARCH_USE_ONLY}")
    cards_side, viewer_side = st.columns([3, 2], gap="medium")
    with cards_side:
        opened = reading_cards(
            context,
            [(entry, said[entry.scan_id]) for entry in read],
            thumbnails(folder),
            key=task.id,
            rule=rule,
        )
    with viewer_side:
        viewer(context, home[opened.id], [scan for scan in scans if scan.used])
        explanation_panel(context, task, run, folder, opened)
    with st.container(horizontal=True):
        st.download_button(
            "Readings (CSV)",
            readings_csv([said[entry.scan_id] for entry in read], task.name),
            f"{file_stem(task.name)}-readings.csv",
            "text/csv",
            icon=":material/table:",
            on_click="ignore",
        )
        readings_download([said[entry.scan_id] for entry in read], read, learner, file_stem(task.name))


def thumbnails(folder: Path) -> dict[str, str]:
    return {scan: data_uri(png) for scan, png in cached_thumbnails(str(folder)).items()}


def main() -> None:
    context = open_page("Predict")
    need_task(context)
    task = context.task
    if task is None:
        return
    context.store.touch(task.id)
    heading(context, task, "Predict")
    run = pick_run(context, task, label="Model adapted on")
    if run is None:
        empty_state(
            context,
            icon=":material/stethoscope:",
            title="No adapted model yet",
            text="Adapt the model to your labelled scans first; then it can read new ones.",
            page=ADAPT,
            action="Go to Adapt",
        )
        return
    try:
        folder = context.jobs.result(run)
        evaluation = cached_run(str(folder))
        said = known_readings(context, task, run)
    except MedMetaError as error:
        st.error(md(error), icon=":material/error:")
        context.link(ADAPT, "Adapt again", icon=":material/refresh:")
        return
    st.markdown(
        f"When tested, this model had **{md(headline(evaluation))}** (the true share may be "
        f"{span(evaluation.patients.interval)})."
    )
    stale_notice(context, task, run)
    with st.container(border=True):
        upload_panel(
            context,
            task,
            "predict",
            hint="New scans are kept in this workspace so that the answers survive a refresh. They are never "
            "learned from, and you can delete them below.",
        )
    new = context.store.entries(task.id, "predict")
    notices_panel(context, task, "predict", new)
    scans = volumes(new)
    entries = [entry for scan in scans for entry in scan.used]
    latest = next(iter(context.jobs.jobs(task.id, "predict")), None)
    if latest is not None and latest.live:
        live_job(context, latest.id, "Reading the new scans")
        return
    if not scans:
        st.info("No new scans yet. Drop files, a folder or a ZIP above.", icon=":material/upload_file:")
        return
    if latest is not None:
        ended_badly(latest, doing="Reading the scans", advice="The scans are still here. Try again below.")
    read_button(context, task, run, folder, [entry for entry in entries if entry.scan_id not in said])
    rule = conformal_rule(evaluation.cases, evaluation.classes)
    answers(context, task, run, scans, said, folder, rule, evaluation.learner)
    if any(entry.scan_id in said for entry in entries):
        sets_panel(evaluation, rule)
    with st.popover("Delete the new scans", icon=":material/delete:", type="tertiary"):
        st.markdown(
            "Deletes the copies kept in this workspace and cannot be undone. Your original files are not touched."
        )
        if st.button(f"Delete {count(len(scans), 'scan')}", type="primary", key="discard"):
            context.store.discard_new(task.id)
            st.rerun()


main()
