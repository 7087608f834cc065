"""The evaluation in plain words: headline, notes, per class, comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from medmeta.evaluation.result import Evaluation, Interval
from medmeta.learners.titles import learner_title
from medmeta.reports.words import (
    LIMITS,
    auroc_span,
    balanced_span,
    decimal,
    headline,
    meaning,
    method,
    percent,
    points,
    seconds,
    signed,
    span,
)
from medmeta.ui.text import count, md


def headline_panel(evaluation: Evaluation) -> None:
    """k of n patients, what that means, and the few figures beside it."""
    first, *rest = meaning(evaluation)
    with st.container(border=True):
        st.markdown(f"## {md(headline(evaluation))}", anchors=False)
        st.markdown(md(first))
        st.markdown("\n".join(f"- {md(sentence)}" for sentence in rest))
        with st.popover("How this was measured", icon=":material/help:", type="tertiary"):
            for sentence in method(evaluation):
                st.markdown(md(sentence))
    quiet: dict[str, Any] = {"delta_color": "off", "delta_arrow": "off"}
    one, two, three, four = st.columns(4)
    one.metric(
        "Scans right",
        percent(evaluation.accuracy),
        span(evaluation.interval),
        help="Share of scans (accuracy), and its 95 % interval, counted by patients.",
        **quiet,
        border=True,
    )
    two.metric(
        "Right in an average class",
        percent(evaluation.balanced_accuracy),
        balanced_span(evaluation),
        **quiet,
        help="Balanced accuracy: the share found in each class, averaged, so that a large class does not hide "
        "a small one.",
        border=True,
    )
    three.metric(
        "Ranking (AUROC)",
        decimal(evaluation.auroc),
        auroc_span(evaluation),
        **quiet,
        help="How often a scan of the class is ranked above one that is not of it. 0.50 is chance, 1.00 is "
        "perfect.",
        border=True,
    )
    four.metric(
        "Time to adapt",
        seconds(evaluation.seconds),
        f"{count(evaluation.n_support, 'scan')} of {count(evaluation.n_support_groups, 'patient')}",
        **quiet,
        help=f"On {evaluation.provenance.get('device', 'this machine')}. Shorter where the scans had been looked at "
        "before, as the Scans page does while you label.",
        border=True,
    )


def notes_panel(notes: Sequence[str]) -> None:
    """What must be read with the figures, in a band nobody overlooks."""
    if notes:
        said = "\n".join(f"- {md(note)}" for note in notes)
        st.warning(f"**Read this with the figures**\n\n{said}", icon=":material/warning:")


def per_class_table(evaluation: Evaluation) -> None:
    """Sensitivity, specificity and AUROC of each class with intervals."""
    figures = evaluation.per_class
    st.dataframe(
        pd.DataFrame(
            {
                "Class": [item.label for item in figures],
                "Patients": [item.n_groups for item in figures],
                "Scans": [item.n_scans for item in figures],
                "Sensitivity": [_share(item.sensitivity, item.sensitivity_interval) for item in figures],
                "Specificity": [_share(item.specificity, item.specificity_interval) for item in figures],
                "AUROC": [
                    f"{decimal(item.auroc)} ({auroc_span(evaluation, item.label)})" for item in figures
                ],
            }
        ),
        hide_index=True,
        height="content",
        column_config={
            "Sensitivity": st.column_config.TextColumn(help="Of the scans of this class, the share found."),
            "Specificity": st.column_config.TextColumn(
                help="Of the scans of other classes, the share rightly not called this one."
            ),
            "AUROC": st.column_config.TextColumn(help="0.50 is chance, 1.00 is perfect."),
        },
    )


def comparison_table(evaluation: Evaluation) -> None:
    """Ours beside simple methods on the same patients, with the paired difference in points."""
    count_of = evaluation.patients
    rows = [("This model", f"{count_of.correct} of {count_of.n}", percent(evaluation.balanced_accuracy), "")]
    rows += [
        (
            learner_title(item.learner),
            f"{item.patients.correct} of {item.patients.n}",
            percent(item.balanced_accuracy),
            f"{signed(item.difference)} ({points(item.difference_interval)})",
        )
        for item in evaluation.comparisons
    ]
    names = ("Method", "Patients right", "Right in an average class", "This model minus it, in points")
    st.dataframe(pd.DataFrame(rows, columns=list(names)), hide_index=True, height="content")


def limits_panel() -> None:
    """What no figure on the page can promise."""
    with st.expander("What these figures cannot tell", icon=":material/priority_high:"):
        st.markdown("\n".join(f"- {md(sentence)}" for sentence in LIMITS))


def _share(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "–"
    return percent(value) + (f" ({span(interval)})" if interval is not None else "")
