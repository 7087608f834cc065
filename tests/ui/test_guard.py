"""The frame of every page."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def device_line() -> None:
    import streamlit as st

    from medmeta.ui import guard

    class Ready:
        device = "CPU"
        problem = None

    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    guard._device_soon(Ready())


def test_the_page_is_not_run_again_when_the_model_becomes_ready() -> None:
    """A rerun from the sidebar closed an open dialog, and what was typed in it was lost."""
    app = AppTest.from_function(device_line).run()
    assert app.session_state["runs"] == 1
    assert "Computing on **CPU**" in app.caption[0].value
