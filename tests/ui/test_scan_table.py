"""What is typed and ticked in the table, as Streamlit hands it over."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from medmeta.ui import scan_table
from medmeta.ui.guard import Context
from medmeta.workspace.store import Store
from medmeta.workspace.volumes import volumes


@pytest.fixture
def context(tmp_path):
    store = Store(tmp_path / "workspace")
    task_id = store.create_task("t")
    uploads = []
    for seed in range(3):
        buffer = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 255, (32, 32), np.uint8)).save(buffer, "PNG")
        uploads.append((f"a/{seed}.png", buffer.getvalue()))
    store.add_uploads(task_id, uploads)
    return Context(store, None, None, store.find_task(task_id))


@pytest.fixture
def state(monkeypatch):
    made = {}
    monkeypatch.setattr(scan_table.st, "session_state", made)
    return made


def edit(context, state, rows):
    scans = volumes(context.store.entries(context.task.id))
    state["key"] = {"edited_rows": rows}
    scan_table._edited(context, context.task, "key", scans)
    return context.store.entries(context.task.id)


def test_labels_and_patients_typed_into_cells_are_kept(context, state):
    one, two, three = edit(context, state, {0: {"label": "b"}, 2: {"patient": " P 1 ", "label": None}})
    assert (one.label, two.label, three.label) == ("b", "a", None)
    assert (three.group, three.group_source) == ("P 1", "person")
    assert state["table-turn"] == 1


def test_an_emptied_patient_changes_nothing_but_is_drawn_anew(context, state):
    before = context.store.entries(context.task.id)
    assert edit(context, state, {0: {"patient": ""}}) == before
    assert state["table-turn"] == 1


def test_ticks_alone_do_not_redraw_the_table_and_survive_an_edit(context, state):
    ids = [entry.id for entry in context.store.entries(context.task.id)]
    edit(context, state, {1: {"tick": True}, 2: {"tick": True}})
    assert state["ticks"] == {ids[1], ids[2]}
    assert "table-turn" not in state
    edit(context, state, {1: {"tick": False}, 2: {"tick": True}, 0: {"label": "z"}})
    assert state["table-base"] == state["ticks"] == {ids[2]}


def test_ticks_of_one_task_are_not_those_of_another(context, state):
    edit(context, state, {0: {"tick": True}})
    other = context.store.find_task(context.store.create_task("other"))
    assert scan_table._ticked(other) == set()


def test_rows_that_are_no_longer_there_are_left_out(context, state):
    assert len(edit(context, state, {7: {"label": "b", "tick": True}})) == 3
