"""Evaluate: how many patients it gets right, which not, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from medmeta.errors import MedMetaError
from medmeta.evaluation.cases import sorted_by_worst
from medmeta.evaluation.conformal import conformal_rule
from medmeta.evaluation.result import Evaluation
from medmeta.reports.figures import comparison_figure, confusion_figure, roc_figure
from medmeta.ui.cases import case_cards, case_table
from medmeta.ui.close_up import close_up
from medmeta.ui.decision import sureness_panel, threshold_panel
from medmeta.ui.downloads import run_downloads
from medmeta.ui.empty import empty_state, need_task
from medmeta.ui.evidence import further_table, next_steps_panel, suspects_panel
from medmeta.ui.figures import follow_theme, ground, themed
from medmeta.ui.guard import ADAPT, PREDICT, open_page
from medmeta.ui.learning_curve import learning_curve_panel
from medmeta.ui.repeated_folds import repeated_panel
from medmeta.ui.results import comparison_table, headline_panel, limits_panel, notes_panel, per_class_table
from medmeta.ui.runs import cached_run, cached_thumbnails, pick_run, stale_notice
from medmeta.ui.scan_table import data_uri
from medmeta.ui.sets import sets_panel
from medmeta.ui.task_panel import heading
from medmeta.ui.text import count, md


def choose_cell(chart: str, cell: str) -> None:
    """Take the clicked cell over into the two choices beside the matrix."""
    event: Any = st.session_state.get(chart)
    points = event["selection"]["points"] if event else []
    if points and "customdata" in points[0]:
        true, predicted = points[0]["customdata"][:2]
        st.session_state[f"{cell}-true"] = int(true)
        st.session_state[f"{cell}-predicted"] = int(predicted)


def confusion(evaluation: Evaluation, uris: Mapping[str, str], job_id: str) -> None:
    """The matrix, two choices that do the same as a click, and the cases of the chosen cell."""
    cell, chart = f"cell-{job_id}", f"matrix-{job_id}-{ground()}"
    every = -1
    options = [every, *range(len(evaluation.classes))]

    def name(position: int) -> str:
        return "any" if position == every else evaluation.classes[position]

    now = (st.session_state.get(f"{cell}-true", every), st.session_state.get(f"{cell}-predicted", every))
    selected = None if every in now else now
    matrix_side, choice_side = st.columns([3, 2], gap="large")
    with matrix_side:
        st.plotly_chart(
            themed(confusion_figure(evaluation, selected)),
            key=chart,
            on_select=lambda: choose_cell(chart, cell),
            selection_mode="points",
            config={"displayModeBar": False},
            alt="Confusion matrix: rows are labels, columns what the model says. The same counts can be chosen "
            "with the two boxes beside it.",
        )
    with choice_side:
        st.markdown("Click a cell to see the scans behind it, or choose here:")
        true = st.selectbox("Label", options, format_func=name, key=f"{cell}-true")
        predicted = st.selectbox("Model says", options, format_func=name, key=f"{cell}-predicted")
        chosen = [
            case
            for case in sorted_by_worst(evaluation)
            if true == every or case.label == evaluation.classes[true]
            if predicted == every or case.predicted == evaluation.classes[predicted]
        ]
        wrong = sum(not case.correct for case in chosen)
        st.markdown(f"**{count(len(chosen), 'scan')}**, {wrong} of them wrong")
    if true == every and predicted == every:
        return
    said = f"labelled **{md(name(true))}**, model says **{md(name(predicted))}**"
    st.markdown(f"##### {count(len(chosen), 'scan')} {said}", anchors=False)
    if chosen:
        with st.container(key="cell-cases"):
            case_cards(chosen, evaluation.classes, uris, key=f"{cell}-page-{true}-{predicted}")
    else:
        st.info("No scan is in this cell.", icon=":material/check:")


def question(text: str) -> None:
    """A part of the page, named by what a clinician asks."""
    st.divider()
    st.header(text, anchor=False)


def main() -> None:
    context = open_page("Evaluate")
    need_task(context)
    task = context.task
    if task is None:
        return
    context.store.touch(task.id)
    heading(context, task, "Evaluate")
    job = pick_run(context, task)
    if job is None:
        empty_state(
            context,
            icon=":material/fact_check:",
            title="Nothing to evaluate yet",
            text="Once the model has adapted to your scans, this page shows how many patients it gets right.",
            page=ADAPT,
            action="Go to Adapt",
        )
        return
    try:
        folder = context.jobs.result(job)
        evaluation = cached_run(str(folder))
    except MedMetaError as error:
        st.error(md(error), icon=":material/error:")
        context.link(ADAPT, "Adapt again", icon=":material/refresh:")
        return
    stale_notice(context, task, job)
    uris = {scan: data_uri(png) for scan, png in cached_thumbnails(str(folder)).items()}
    question("Is it good?")
    headline_panel(evaluation)
    notes_panel(evaluation.notes)
    limits_panel()
    if evaluation.comparisons:
        st.subheader(
            "Beside simple methods",
            anchor=False,
            help="The same patients, set aside in the same way. The range is a 95 % interval of the "
            "difference, paired by patient.",
        )
        st.plotly_chart(
            themed(comparison_figure(evaluation)),
            key=f"methods-{job.id}-{ground()}",
            config={"displayModeBar": False},
        )
        comparison_table(evaluation)
    question("For whom not?")
    st.subheader("Which ones it gets wrong", anchor=False)
    confusion(evaluation, uris, job.id)
    st.subheader("Each class", anchor=False)
    per_class_table(evaluation)
    st.subheader(
        "How well it ranks",
        anchor=False,
        help="ROC curves: how many scans of a class are found against how many others are wrongly called it, "
        "as the threshold moves. The closer to the top left, the better; the diagonal is chance.",
    )
    st.plotly_chart(
        themed(roc_figure(evaluation)), key=f"roc-{job.id}-{ground()}", config={"displayModeBar": False}
    )
    repeated_panel(evaluation, job.id)
    st.subheader("All cases, worst mistakes first", anchor=False)
    case_table(sorted_by_worst(evaluation), evaluation.classes, uris)
    question("Why?")
    close_up(context, task, job, evaluation, folder, uris)
    suspects_panel(context, task, evaluation, uris)
    question("What now?")
    next_steps_panel(evaluation)
    learning_curve_panel(evaluation, job.id)
    threshold_panel(evaluation, f"threshold-{job.id}")
    sureness_panel(evaluation, job.id)
    sets_panel(evaluation, conformal_rule(evaluation.cases, evaluation.classes))
    further_table(evaluation)
    st.subheader("Take it with you", anchor=False)
    run_downloads(evaluation, folder)
    follow_theme(ground())
    context.link(PREDICT, "Next: read new scans", icon=":material/arrow_forward:", job=job.id)


main()
