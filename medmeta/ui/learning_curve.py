"""Would more scans help: one sentence and the curve behind it."""

from __future__ import annotations

import streamlit as st

from medmeta.evaluation.learning_curve import why_no_curve
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, Evaluation
from medmeta.reports.learning_curve import CURVE_HELP, learning_curve_figure, more_scans_words
from medmeta.ui.figures import ground, themed
from medmeta.ui.text import md


def learning_curve_panel(evaluation: Evaluation, key: str) -> None:
    """Whether more scans would help, and of which class; the reason where it was not measured."""
    st.subheader("Would more scans help?", anchor=False, help=CURVE_HELP)
    curve = evaluation.curve
    if curve is None:
        own = evaluation.protocol == LEAVE_ONE_GROUP_OUT
        why = why_no_curve([item.n_groups for item in evaluation.per_class], left_out=True) if own else None
        st.caption(md(f"Not measured: it {why}." if why else "Not measured. Adapt again to measure it."))
        return
    st.markdown(md(more_scans_words(curve)))
    st.plotly_chart(
        themed(learning_curve_figure(curve)),
        key=f"curve-{key}-{ground()}",
        config={"displayModeBar": False},
        alt="Share of left-out patients right against the patients of a class learned from.",
    )
