"""What stands behind the headline: further figures with their reasons, disputed labels, next steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from medmeta.evaluation.result import Evaluation, Mover, Suspect
from medmeta.reports.evidence import MOVERS_HELP, SUSPECTS_HELP, disputed, figure_rows, moving, next_steps
from medmeta.ui.guard import SCANS, Context
from medmeta.ui.text import md
from medmeta.workspace.records import TaskInfo


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


def suspects_panel(
    context: Context, task: TaskInfo, evaluation: Evaluation, thumbnails: Mapping[str, str]
) -> None:
    """Labels worth a second look, and the scans that decide most, with their pictures and the way to them."""
    if not evaluation.suspects and not evaluation.movers:
        return
    ids = {entry.scan_id: entry.id for entry in context.store.entries(task.id)}

    def scans(items: Sequence[tuple[Suspect | Mover, str]]) -> None:
        """Scans side by side, each with its picture and one sentence."""
        for column, (item, sentence) in zip(st.columns(3), items, strict=False):
            with column.container(border=True, height="stretch"):
                picture = thumbnails.get(item.scan_id)
                if picture is not None:
                    st.image(picture, width=128, alt=f"Scan labelled {item.label}")
                st.markdown(f"**{md(item.file)}**")
                st.caption(md(sentence))
                if item.scan_id in ids:
                    context.link(SCANS, "Look at it", icon=":material/radiology:", scan=ids[item.scan_id])

    if evaluation.suspects:
        st.subheader("Labels worth a second look", anchor=False, help=SUSPECTS_HELP)
        scans([(item, disputed(item)) for item in evaluation.suspects])
    if evaluation.movers:
        with st.expander("Scans that decide most: are their labels right?", icon=":material/balance:"):
            st.caption(MOVERS_HELP)
            scans([(item, moving(item)) for item in evaluation.movers])


def next_steps_panel(evaluation: Evaluation) -> None:
    """What to do now, the most urgent first."""
    with st.container(border=True, gap="xsmall"):
        st.markdown("**:material/checklist: Next steps, the most urgent first**")
        steps = enumerate(next_steps(evaluation), start=1)
        st.markdown("\n".join(f"{number}. {md(step)}" for number, step in steps))
