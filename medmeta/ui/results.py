"""The evaluation in plain words: headline, notes, per class, comparison."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from medmeta.evaluation.result import QUERY_SET, ClassFigures, Comparison, Evaluation, Interval
from medmeta.ui.text import count, duration, headline, md, meaning, percent, span


def how_tested(evaluation: Evaluation) -> str:
    """How the figures came about, for someone who has never heard of cross-validation."""
    if evaluation.protocol == QUERY_SET:
        return f"Tested on {count(evaluation.n_groups, 'patient')} in separate test scans the model had never seen."
    return (
        "Each patient in turn was set aside, the model learned from all the others, and then read the one set "
        "aside. So no patient was judged by a model that had seen them."
    )


def headline_panel(evaluation: Evaluation) -> None:
    """k of n patients with its interval, and the few figures beside it."""
    with st.container(border=True):
        st.markdown(f"## {headline(evaluation.patients)} right", anchors=False)
        st.markdown(
            f"{meaning(evaluation.patients)} {how_tested(evaluation)}",
            help="The range is the exact (Clopper-Pearson) 95 % interval with one count for each patient.",
        )
    one, two, three, four = st.columns(4)
    one.metric(
        "Scans right",
        percent(evaluation.accuracy),
        help=f"Share of scans (accuracy); 95 % interval {span(evaluation.interval)}, counted by patients.",
        border=True,
    )
    two.metric(
        "Right in an average class",
        percent(evaluation.balanced_accuracy),
        help="Balanced accuracy: the share found in each class, averaged, so that a large class does not hide "
        "a small one.",
        border=True,
    )
    three.metric(
        "Ranking",
        "–" if evaluation.auroc is None else f"{evaluation.auroc:.2f}",
        help="AUROC: how often a scan of the class is ranked above one that is not of it. 0.50 is chance, 1.00 is "
        "perfect.",
        border=True,
    )
    four.metric(
        "Time to adapt",
        duration(evaluation.seconds),
        help=f"On {evaluation.provenance.get('device', 'this machine')}, all "
        f"{count(evaluation.n_support, 'scan')} of {count(evaluation.n_support_groups, 'patient')} included.",
        border=True,
    )


def notes_panel(notes: Sequence[str]) -> None:
    """What must be read with the figures."""
    if not notes:
        return
    with st.container(border=True, gap="xsmall"):
        st.markdown("**:material/info: Read this with the figures**")
        for note in notes:
            st.markdown(f"- {md(note)}")


def per_class_table(figures: Sequence[ClassFigures]) -> None:
    """Sensitivity, specificity and AUROC of each class with intervals."""
    st.dataframe(
        pd.DataFrame(
            {
                "Class": [item.label for item in figures],
                "Patients": [item.n_groups for item in figures],
                "Scans": [item.n_scans for item in figures],
                "Sensitivity": [_share(item.sensitivity, item.sensitivity_interval) for item in figures],
                "Specificity": [_share(item.specificity, item.specificity_interval) for item in figures],
                "AUROC": ["–" if item.auroc is None else f"{item.auroc:.2f}" for item in figures],
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


def comparison_table(evaluation: Evaluation, names: dict[str, str]) -> None:
    """Ours beside simple methods on the same patients, with the paired difference."""
    rows = [_comparison_row(item, names) for item in evaluation.comparisons]
    ours = {
        "Method": "This model",
        "Patients right": f"{evaluation.patients.correct} of {evaluation.patients.n}",
        "Right in an average class": percent(evaluation.balanced_accuracy),
        "This model minus it": "",
    }
    st.dataframe(pd.DataFrame([ours, *rows]), hide_index=True, height="content")


def verdict(evaluation: Evaluation) -> str:
    """Whether the model is clearly better than the simple methods, without overselling."""
    if not evaluation.comparisons:
        return ""
    better = [item for item in evaluation.comparisons if item.difference_interval.low > 0]
    worse = [item for item in evaluation.comparisons if item.difference_interval.high < 0]
    if worse:
        return "At least one simple method did clearly better on these patients."
    if len(better) == len(evaluation.comparisons):
        return "It did clearly better than every simple method on these patients."
    return "With this few patients it cannot be told apart from at least one of the simple methods."


def _comparison_row(item: Comparison, names: dict[str, str]) -> dict[str, str]:
    low, high = 100 * item.difference_interval.low, 100 * item.difference_interval.high
    return {
        "Method": names.get(item.learner, item.learner),
        "Patients right": f"{item.patients.correct} of {item.patients.n}",
        "Right in an average class": percent(item.balanced_accuracy),
        "This model minus it": f"{100 * item.difference:+.0f} points ({low:+.0f} to {high:+.0f})",
    }


def _share(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "–"
    return percent(value) + (f" ({span(interval)})" if interval is not None else "")
