"""What another threshold, or leave to decline, would change: a slider, its counts and what they are worth."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from medmeta.evaluation.decision import (
    ABSTENTION_PATIENTS,
    ThresholdPoint,
    abstention_curve,
    threshold_point,
    threshold_rates,
    why_no_abstention,
    why_no_threshold,
)
from medmeta.evaluation.further import MINIMA, PREVALENCE
from medmeta.evaluation.result import Evaluation
from medmeta.reports.decision import (
    FLATTERED,
    abstention_figure,
    benefit_rows,
    benefit_words,
    found_words,
    reliability_figure,
)
from medmeta.ui.figures import ground, themed
from medmeta.ui.text import md


@st.fragment
def threshold_panel(evaluation: Evaluation, key: str) -> None:
    """One class against the rest from a chosen probability on, and what that brings."""
    st.subheader(
        "What if it called a class sooner, or later?",
        anchor=False,
        help="The model's answer is the class it finds most probable. Here you say from which probability on one "
        "class is called instead: sooner finds more of it and wrongly calls more others.",
    )
    open_classes = [
        label for label in evaluation.classes if why_no_threshold(evaluation.cases, label) is None
    ]
    if not open_classes:
        reasons = (f"{label}: {why_no_threshold(evaluation.cases, label)}" for label in evaluation.classes)
        st.caption("Not shown, because a threshold needs more patients.")
        st.caption("\n".join(f"- {md(reason)}" for reason in reasons))
        return
    choice, slider, share = st.columns([2, 3, 2], gap="medium")
    label = choice.selectbox("Class, against all others", evaluation.classes, key=f"{key}-class")
    why = why_no_threshold(evaluation.cases, label)
    if why is not None:
        st.info(md(f"Not shown for this class: {why}."), icon=":material/info:")
        return
    chosen = slider.slider("Call it from this probability on, in %", 1, 99, 50, key=f"{key}-threshold")
    have = share.number_input(
        "Of 100 examined, have it",
        1,
        99,
        round(100 * PREVALENCE),
        key=f"{key}-prevalence",
        help="Yours to say: the mix of your scans does not tell how common the class is where you would use this.",
    )
    point = threshold_point(evaluation.cases, evaluation.classes, label, chosen / 100, have / 100)
    found, called = found_words(point, threshold_rates(point, evaluation.cases, label))
    counts_side, worth_side = st.columns(2, gap="large")
    with counts_side:
        _counts(point, label)
        st.markdown(f"- {md(found)}\n- {md(called)}")
    with worth_side:
        rows = benefit_rows(point)
        st.dataframe(
            pd.DataFrame(
                {"Policy": [name for name, _ in rows], "Worth per 100 people": [v for _, v in rows]}
            ),
            hide_index=True,
            height="content",
            column_config={
                "Worth per 100 people": st.column_config.TextColumn(
                    help="Net benefit: true calls less false ones, these weighed as the threshold says."
                )
            },
        )
        st.markdown(md(benefit_words(point, label, have / 100)))
    st.caption(f"Counted on answers about patients the model had not adapted on. {FLATTERED}")


def sureness_panel(evaluation: Evaluation, key: str) -> None:
    """What leaving out its unsure answers would bring; beside it, whether its probabilities can be believed."""
    abstain_side, trust_side = st.columns(2, gap="large")
    with abstain_side:
        st.subheader(
            "What if it only answered when sure?",
            anchor=False,
            help="Abstention curve. From left to right the model declines more of the patients it is least sure of. "
            "Where the line rises, its doubt is worth listening to. Bars are exact 95 % intervals.",
        )
        why = why_no_abstention(evaluation.cases)
        if why is not None:
            st.caption(md(f"Not shown: it {why}."))
        else:
            curve = abstention_curve(evaluation.cases, evaluation.classes)
            st.plotly_chart(
                themed(abstention_figure(curve, ABSTENTION_PATIENTS // 2)),
                key=f"abstention-{key}-{ground()}",
                config={"displayModeBar": False},
                alt="Share of patients answered, and how many of those are right.",
            )
    with trust_side:
        st.subheader(
            "Is it as often right as it is sure?",
            anchor=False,
            help="Reliability diagram. On the dotted line, answers given at 80 % are right 8 times in 10; below it "
            "the model is surer than it should be.",
        )
        if evaluation.reliability:
            st.plotly_chart(
                themed(reliability_figure(evaluation.reliability)),
                key=f"reliability-{key}-{ground()}",
                config={"displayModeBar": False},
                alt="How sure the answers were, and how often they were right.",
            )
        else:
            least = MINIMA["calibration error"]
            st.caption(
                md(f"Not shown: it needs {least.n} patients, found {evaluation.n_groups}: {least.why}.")
            )


def _counts(point: ThresholdPoint, label: str) -> None:
    st.dataframe(
        pd.DataFrame(
            {
                "Scans": [f"labelled {label}", "labelled otherwise"],
                "Called it": [point.true_calls, point.false_calls],
                "Not called it": [point.missed, point.spared],
            }
        ),
        hide_index=True,
        height="content",
    )
