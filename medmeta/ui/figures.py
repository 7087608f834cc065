"""Figures of the reports on a page: readable on its light or dark ground."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

_INK = {"light": "#16262b", "dark": "#e4edee"}


def themed(figure: go.Figure) -> go.Figure:
    """Give text without a colour of its own the page's text colour.

    Streamlit's chart theme writes text in a light grey that is hard to read, above all inside the cells of the
    confusion matrix. The figure passed in is changed and returned.
    """
    ink = _INK["dark" if st.context.theme.type == "dark" else "light"]
    figure.for_each_annotation(
        lambda note: note.update(font_color=ink) if not note.font.color else None,
    )
    for axis in ("xaxis", "yaxis"):
        figure.update_layout({axis: {"tickfont": {"color": ink}, "title": {"font": {"color": ink}}}})
    figure.update_layout(legend={"font": {"color": ink}, "title": {"font": {"color": ink}}})
    return figure
