"""The frame of every page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def device_line(device: str | None) -> None:
    import streamlit as st

    from medmeta.ui import guard

    class Stub:
        problem = None

    Stub.device = device  # type: ignore[attr-defined]
    st.session_state["runs"] = st.session_state.get("runs", 0) + 1
    guard._device(Stub())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("device", "said"), [(None, "Getting the model ready"), ("CPU", "Computing on **CPU**")]
)
def test_the_device_line_runs_no_page_again(device: str | None, said: str) -> None:
    """A rerun from the sidebar closed an open dialog; a timed fragment there left a blank page behind."""
    app = AppTest.from_function(device_line, args=(device,)).run()
    assert app.session_state["runs"] == 1
    assert said in app.caption[0].value
