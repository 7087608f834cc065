"""Adapt: one button, live progress, and the headline once it is done."""

from __future__ import annotations

import streamlit as st

from medmeta.errors import MedMetaError
from medmeta.ui.checks_panel import serious_findings
from medmeta.ui.empty import empty_state, need_task
from medmeta.ui.guard import EVALUATE, PREDICT, SCANS, Context, open_page
from medmeta.ui.job_panel import ended_badly, live_job
from medmeta.ui.results import headline_panel, notes_panel
from medmeta.ui.runs import cached_run, named_job, stale_notice, took
from medmeta.ui.task_panel import heading
from medmeta.ui.text import count, md
from medmeta.workspace import readiness
from medmeta.workspace.records import Entry, Job, TaskInfo
from medmeta.workspace.volumes import used
from medmeta.workspace.work import adapt_work


def start(context: Context, task: TaskInfo) -> None:
    """Begin, or find the adaptation that is already under way; its id goes into the address."""
    work = adapt_work(context.store, task.id, context.engine.extractor, looks=context.engine.looks)
    job = context.jobs.submit("adapt", task.id, work)
    st.query_params["job"] = job.id


def summary(entries: list[Entry]) -> None:
    """What will be learned from, and how it will be tested."""
    entries = used(entries)
    support = [entry for entry in entries if entry.role == "support"]
    query = [entry for entry in entries if entry.role == "query" and entry.label is not None]
    classes = readiness.patients_per_class(support)
    labelled = [entry for entry in support if entry.label is not None]
    named = [f"{md(label)} ({count(number, 'patient')})" for label, number in classes.items()]
    with st.container(border=True):
        st.markdown(f"**Learns** {' · '.join(named)} from {count(len(labelled), 'scan')}.")
        tested = (
            f"on {count(len(query), 'separate test scan')}."
            if query
            else "by setting each patient aside in turn and reading them with a model that never saw them."
        )
        st.markdown(f"**Is tested** {tested}")


def readiness_panel(context: Context, task: TaskInfo, entries: list[Entry]) -> bool:
    """What will happen and what could be better, or what is missing; returns whether it can start."""
    state = readiness.check(entries)
    if state.ready:
        summary(entries)
        for text in state.advice:
            st.markdown(f":orange[:material/lightbulb:] {md(text)}")
        serious_findings(context, task, entries)
    else:
        st.markdown("**What is missing**")
        for text in state.problems:
            st.warning(md(text), icon=":material/pending:")
        context.link(SCANS, "Go to the scans", icon=":material/radiology:")
    return state.ready


def outcome(context: Context, task: TaskInfo, job: Job) -> None:
    """How the last adaptation ended."""
    if job.state != "done":
        ended_badly(
            job,
            doing="Adapting",
            advice="Your scans and labels are untouched. Mend what is named above, then adapt again.",
        )
        return
    try:
        evaluation = cached_run(str(context.jobs.result(job)))
    except MedMetaError as error:
        st.error(md(error), icon=":material/error:")
        return
    st.success(f"Adapted and tested in {took(job)}.", icon=":material/check_circle:")
    stale_notice(context, task, job)
    headline_panel(evaluation)
    notes_panel(evaluation.notes)
    with st.container(horizontal=True):
        context.link(EVALUATE, "See every figure and case", icon=":material/fact_check:", job=job.id)
        context.link(PREDICT, "Read new scans", icon=":material/stethoscope:", job=job.id)


def main() -> None:
    context = open_page("Adapt")
    need_task(context)
    task = context.task
    if task is None:
        return
    context.store.touch(task.id)
    heading(context, task, "Adapt")
    entries = context.store.entries(task.id, "support", "query")
    if not entries:
        empty_state(
            context,
            icon=":material/radiology:",
            title="No scans yet",
            text="Add scans of at least two classes first, five to ten patients of each if you can.",
            page=SCANS,
            action="Add scans",
        )
        return
    job = named_job(context, task, "adapt")
    if job is not None and job.live:
        st.query_params["job"] = job.id
        live_job(context, job.id, "Adapting and testing")
        st.caption("You can close or refresh this page; the work goes on and this address finds it again.")
        return
    if job is not None:
        st.query_params["job"] = job.id
        outcome(context, task, job)
        if job.state == "done":
            st.subheader("Adapt again", anchor=False)
    reading = next((item for item in context.jobs.jobs(task.id, "intake") if item.live), None)
    if reading is not None:
        live_job(context, reading.id, "Files are still being read")
    ready = readiness_panel(context, task, entries)
    again = job is not None and job.state == "done"
    if st.button(
        "Adapt again" if again else "Adapt",
        type="secondary" if again else "primary",
        icon=":material/play_arrow:",
        disabled=not ready or reading is not None,
        key="adapt",
    ):
        try:
            start(context, task)
        except MedMetaError as error:
            st.error(md(error), icon=":material/error:")
        else:
            st.rerun()


main()
