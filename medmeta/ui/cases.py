"""The cases behind the figures: cards with what was said, how sure, and the scans it was compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pandas as pd
import streamlit as st

from medmeta.evaluation.result import Case
from medmeta.reports.words import percent
from medmeta.ui.text import count, likeness, md

CARDS_A_PAGE = 6


class Answer(Protocol):
    """What `Case` and `Reading` have in common."""

    @property
    def probabilities(self) -> tuple[float, ...]: ...
    @property
    def nearest(self) -> tuple[tuple[str, str, str, float], ...]: ...
    @property
    def abstained(self) -> bool: ...
    @property
    def out_of_domain(self) -> float: ...


def case_table(ordered: Sequence[Case], classes: Sequence[str], thumbnails: Mapping[str, str]) -> None:
    """All cases in one table, in the order given."""
    table = pd.DataFrame(
        {
            "Image": [thumbnails.get(case.scan_id) for case in ordered],
            "Right": ["yes" if case.correct else "NO" for case in ordered],
            "Label": [case.label for case in ordered],
            "Model says": [case.predicted for case in ordered],
            "Unsure": ["yes" if case.abstained else "" for case in ordered],
        }
    )
    config: dict[str, Any] = {
        "Image": st.column_config.ImageColumn(width=70, pinned=True),
        "Unsure": st.column_config.TextColumn(
            width=70, help="The model would rather not answer: the scan is unusual, or two classes are close."
        ),
        "Right": st.column_config.TextColumn(width=60),
    }
    # Positions, not names, so that a class may be called anything; the shown name is plain text.
    for position, label in enumerate(classes):
        column = f"p{position}"
        table[column] = [100 * case.probabilities[position] for case in ordered]
        config[column] = st.column_config.ProgressColumn(
            label, format="%.0f %%", min_value=0, max_value=100, width=120
        )
    # Last: a path fills the width that what it is about needs.
    table["Patient"] = [case.group for case in ordered]
    table["File"] = [case.file for case in ordered]
    st.dataframe(
        table,
        hide_index=True,
        column_config=config,
        row_height=56,
        height=min(640, 40 + 56 * len(ordered)),
        placeholder="",
    )


def probability_bars(answer: Answer, classes: Sequence[str]) -> None:
    """One bar a class, the most probable first."""
    order = sorted(range(len(classes)), key=lambda i: -answer.probabilities[i])
    for position in order:
        share = min(max(answer.probabilities[position], 0.0), 1.0)
        st.progress(share, text=f"{md(classes[position])} · {percent(share)}")


def unlike(answer: Answer) -> bool:
    """Whether the scan is none like those learned from, so that no answer about it means much."""
    # Imported when there are answers: the pages open without the numerical libraries behind it.
    from medmeta.learners.frozen import OUT_OF_DOMAIN

    return answer.out_of_domain > OUT_OF_DOMAIN


def doubts(answer: Answer) -> list[str]:
    """In words, why an answer should not be relied on."""
    said = []
    if unlike(answer):
        said.append(
            "Unlike the scans the model has learned from "
            f"({answer.out_of_domain:.1f} times as far from them as usual)."
        )
    if answer.abstained:
        said.append("The model would rather not answer this one: look at it yourself.")
    return said


def nearest_scans(answer: Answer, thumbnails: Mapping[str, str], *, most: int = 3) -> None:
    """The scans learned from that look most alike to the model, with their labels."""
    nearest = answer.nearest[:most]
    if not nearest:
        return
    st.caption(
        "Most alike among the scans learned from",
        help="How alike two scans are to the model: 1.00 means the same. It is not a reason, but it shows what "
        "the answer was compared with.",
    )
    with st.container(horizontal=True, gap="small"):
        for scan_id, file, label, similarity in nearest:
            with st.container(width=104, gap="xxsmall"):
                picture = thumbnails.get(scan_id)
                if picture is not None:
                    st.image(picture, width=96, alt=f"Scan labelled {label}")
                # A name such as “bacterial_pneumonia” may go on in the next line after its underscore.
                name = md(label).replace("_", "_\u200b")
                st.caption(f"**{name}** {likeness(similarity)}", help=md(file))


def case_cards(
    ordered: Sequence[Case],
    classes: Sequence[str],
    thumbnails: Mapping[str, str],
    *,
    key: str,
    columns: int = 2,
) -> None:
    """Cases as cards, a page at a time."""
    pages = -(-len(ordered) // CARDS_A_PAGE)
    page = min(int(st.session_state.get(key, 1)), max(pages, 1))
    places = st.columns(columns)
    for position, case in enumerate(ordered[(page - 1) * CARDS_A_PAGE : page * CARDS_A_PAGE]):
        with places[position % columns].container(border=True):
            image_side, text_side = st.columns([1, 3])
            picture = thumbnails.get(case.scan_id)
            if picture is not None:
                image_side.image(picture, width="stretch", alt="The scan")
            with text_side:
                verdict = ":green[:material/check: right]" if case.correct else ":red[:material/close: wrong]"
                st.markdown(f"**{md(case.predicted)}** {verdict}")
                st.caption(f"Label: {md(case.label)} · patient {md(case.group)} · {md(case.file)}")
                for text in doubts(case):
                    st.caption(f":orange[:material/help:] {text}")
            probability_bars(case, classes)
            nearest_scans(case, thumbnails)
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.pagination(pages, key=key, width="stretch")
            st.caption(count(len(ordered), "case"))
