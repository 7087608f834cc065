"""Sets of labels that keep a promise, or why there are none."""

from __future__ import annotations

import streamlit as st

from medmeta.evaluation.conformal import ConformalRule
from medmeta.evaluation.result import Evaluation
from medmeta.reports.conformal import SETS_HELP, no_sets_words, rule_words
from medmeta.ui.text import md


def sets_panel(evaluation: Evaluation, rule: ConformalRule | None) -> None:
    """What a set of labels promises here."""
    st.subheader("Labels that cannot be ruled out", anchor=False, help=SETS_HELP)
    if rule is None:
        st.caption(md(no_sets_words(evaluation.n_groups)))
        return
    st.markdown("\n".join(f"- {md(sentence)}" for sentence in rule_words(rule, evaluation)))
