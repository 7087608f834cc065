"""What stands behind the headline: further figures with their reasons, disputed labels, next steps."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from medmeta.evaluation.result import Evaluation
from medmeta.reports.evidence import SUSPECTS_HELP, disputed, figure_rows, next_steps
from medmeta.ui.text import md


def further_table(evaluation: Evaluation) -> None:
    """Every further figure, folded away; nothing for an evaluation saved before there were any."""
    rows = figure_rows(evaluation)
    if not rows:
        return
    with st.expander("More figures, for those who ask for them", icon=":material/functions:"):
        st.caption("Where too few patients stand behind a figure, the reason stands in its place.")
        st.dataframe(
            pd.DataFrame(
                {
                    "Figure": [row.name for row in rows],
                    "Class": [row.of or "all" for row in rows],
                    "Value": [row.value for row in rows],
                    "95 % interval": [row.interval for row in rows],
                    "In plain words": [row.plain for row in rows],
                }
            ),
            hide_index=True,
            height="content",
            column_config={
                "95 % interval": st.column_config.TextColumn(help="Counted by patients, not by scans."),
                "In plain words": st.column_config.TextColumn(width="large"),
            },
        )


def suspects_panel(evaluation: Evaluation, thumbnails: Mapping[str, str]) -> None:
    """Labels worth a second look, with their pictures."""
    if not evaluation.suspects:
        return
    st.subheader("Labels worth a second look", anchor=False, help=SUSPECTS_HELP)
    for column, suspect in zip(st.columns(len(evaluation.suspects)), evaluation.suspects, strict=True):
        with column.container(border=True, height="stretch"):
            picture = thumbnails.get(suspect.scan_id)
            if picture is not None:
                st.image(picture, width=128, alt=f"Scan labelled {suspect.label}")
            st.markdown(f"**{md(suspect.file)}**")
            st.caption(md(disputed(suspect)))


def next_steps_panel(evaluation: Evaluation) -> None:
    """What to do now, the most urgent first."""
    with st.container(border=True, gap="xsmall"):
        st.markdown("**:material/checklist: What now**")
        steps = enumerate(next_steps(evaluation), start=1)
        st.markdown("\n".join(f"{number}. {md(step)}" for number, step in steps))
