"""Figures of the reports on a page: readable on its light or dark ground."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

#: Streamlit's browser side puts the theme's strong text colour in place of this one when it draws a figure for the
#: first time; anywhere else it is a near-black.
INK = "#000037"


def themed(figure: go.Figure) -> go.Figure:
    """Give text without a colour of its own the page's text colour.

    Streamlit's chart theme writes text in a light grey that is hard to read, above all inside the cells of the
    confusion matrix. The figure passed in is changed and returned.
    """
    figure.for_each_annotation(lambda note: None if note.font.color else note.update(font_color=INK))
    for axis in ("xaxis", "yaxis"):
        figure.update_layout({axis: {"tickfont": {"color": INK}, "title": {"font": {"color": INK}}}})
    figure.update_layout(legend={"font": {"color": INK}, "title": {"font": {"color": INK}}})
    return figure


def ground() -> str:
    """Light or dark, for the key of a themed figure: a figure is drawn anew when the theme changes."""
    return st.context.theme.type or "light"


@st.fragment(run_every=2.0)
def follow_theme(drawn_on: str) -> None:
    """Draw the page again when the browser has changed between light and dark; draws nothing itself."""
    if ground() != drawn_on:
        st.rerun()
