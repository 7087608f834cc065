"""What a page shows when there is nothing to show yet: why, and the one next step."""

from __future__ import annotations

import streamlit as st

from medmeta.ui.guard import Context


def empty_state(context: Context, *, icon: str, title: str, text: str, page: str, action: str) -> None:
    """A quiet box with one sentence and a link to the page where the next step is."""
    with st.container(border=True, horizontal_alignment="center", gap="small"):
        st.space("small")
        st.markdown(f"### {icon} {title}", text_alignment="center", anchors=False)
        st.markdown(text, text_alignment="center")
        context.link(page, action, icon=":material/arrow_forward:")
        st.space("small")


def need_task(context: Context) -> None:
    """Stop the page with the way out when no task exists."""
    if context.task is None:
        empty_state(
            context,
            icon=":material/folder_open:",
            title="No task yet",
            text="A task is a question with its scans, for example *bacterial or viral pneumonia*. "
            "Start one on the Home page, or try the sample.",
            page="app.py",
            action="Go to Home",
        )
        st.stop()
