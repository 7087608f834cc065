"""Does it depend on whom it learned from: what other divisions of the same patients gave."""

from __future__ import annotations

import streamlit as st

from medmeta.evaluation.repeated_folds import why_no_repeats
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, Evaluation
from medmeta.reports.repeated_folds import REPEATS_HELP, repeats_figure, repeats_words
from medmeta.ui.figures import ground, themed
from medmeta.ui.text import md


def repeated_panel(evaluation: Evaluation, key: str) -> None:
    """The range over divisions and how often each patient was right; the reason where it was not measured."""
    if evaluation.protocol != LEAVE_ONE_GROUP_OUT:
        return
    st.subheader("Does it depend on whom it learned from?", anchor=False, help=REPEATS_HELP)
    found = evaluation.repeated
    if found is None:
        why = why_no_repeats([item.n_groups for item in evaluation.per_class])
        st.caption(md(f"Not measured: it {why}." if why else "Not measured. Adapt again to measure it."))
        return
    st.markdown("\n".join(f"- {md(sentence)}" for sentence in repeats_words(found)))
    st.plotly_chart(
        themed(repeats_figure(found, evaluation.classes)),
        key=f"repeated-{key}-{ground()}",
        config={"displayModeBar": False},
        alt="Patients by how often they were right, the surest first.",
    )
