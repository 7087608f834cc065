"""The frame of every page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from medmeta.ui.guard import distinct_names
from medmeta.workspace.records import TaskInfo


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


def test_tasks_of_one_name_are_told_apart() -> None:
    """A select box finds an option by its words: of two tasks with one name it opened the wrong one by itself."""

    def task(id: str, name: str, created: float) -> TaskInfo:
        return TaskInfo(id, name, False, created, created, 0, 0, 0, 0, 0)

    tasks = [task("c", "Moles", 3), task("b", "Moles (2)", 1), task("a", "Moles", 0)]
    assert distinct_names(tasks) == {"a": "Moles", "b": "Moles (2)", "c": "Moles (3)"}
