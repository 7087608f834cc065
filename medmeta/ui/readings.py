"""Answers about new scans as cards: label, how sure, what speaks against relying on it, what it was compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from medmeta.evaluation.conformal import ConformalRule
from medmeta.reports.conformal import set_words
from medmeta.ui.cases import CARDS_A_PAGE, doubts, nearest_scans, probability_bars, unlike
from medmeta.ui.guard import Context
from medmeta.ui.scan_table import thumbnail_uri
from medmeta.ui.text import count, md
from medmeta.workspace.reading import Reading
from medmeta.workspace.records import Entry


def reading_cards(
    context: Context,
    answers: Sequence[tuple[Entry, Reading]],
    thumbnails: Mapping[str, str],
    *,
    key: str,
    rule: ConformalRule | None = None,
) -> Entry:
    """Draw a page of cards; returns the scan to open in the viewer.

    Args:
        answers: at least one scan with its reading.
        thumbnails: data addresses of the scans learned from, by scan id.
        key: sets the state of one task apart from another's.
        rule: says which labels belong to a scan's set; None where too few patients stand behind one.
    """
    pages = -(-len(answers) // CARDS_A_PAGE)
    page_key, view_key = f"readings-page-{key}", f"readings-view-{key}"
    page = min(int(st.session_state.get(page_key, 1)), pages)
    for entry, reading in answers[(page - 1) * CARDS_A_PAGE : page * CARDS_A_PAGE]:
        with st.container(border=True):
            _card(context, entry, reading, thumbnails, view_key, rule)
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.pagination(pages, key=page_key, width="stretch")
            st.caption(count(len(answers), "scan"))
    viewed = st.session_state.get(view_key)
    first = answers[(page - 1) * CARDS_A_PAGE][0]
    return next((entry for entry, _ in answers if entry.id == viewed), first)


def _card(
    context: Context,
    entry: Entry,
    reading: Reading,
    thumbnails: Mapping[str, str],
    view_key: str,
    rule: ConformalRule | None,
) -> None:
    image_side, answer_side = st.columns([1, 4])
    with image_side:
        picture = thumbnail_uri(context, entry)
        if picture is not None:
            st.image(picture, width="stretch", alt="The scan")
        if st.button("View", icon=":material/visibility:", key=f"{view_key}-{entry.id}", type="tertiary"):
            st.session_state[view_key] = entry.id
    with answer_side:
        # Side by side where there is room, else one below the other: columns would only get narrower.
        both = st.container(horizontal=True)
        text_side, bars_side = both.container(width=208), both.container(width=208)
        reasons, strange = doubts(reading), unlike(reading)
        title = f"{md(reading.label)}?" if reasons else md(reading.label)
        mark = ":orange[:material/help:] " if reasons else ""
        text_side.markdown(f"##### {mark}{'No answer to rely on' if strange else title}", anchors=False)
        text_side.caption(md(entry.file))
        for text in reasons:
            text_side.markdown(f":orange[:material/warning:] {text}")
        # What such figures promise holds for scans like those learned from, and for no others.
        if rule is not None and not strange:
            text_side.caption(md(set_words(rule.labels(reading.probabilities, reading.classes), rule)))
        with bars_side:
            if not strange:
                probability_bars(reading, reading.classes)
            else:
                with st.expander("What it would say of a scan like those"):
                    probability_bars(reading, reading.classes)
        nearest_scans(reading, thumbnails)
