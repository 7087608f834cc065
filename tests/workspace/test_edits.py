"""Undo and redo against the labels before and after."""

from __future__ import annotations

import json

import pytest

from medmeta.workspace import edits
from medmeta.workspace.records import EditStep, WorkspaceError
from medmeta.workspace.store import Store


def labels(store, task_id):
    return [entry.label for entry in store.entries(task_id)]


def test_label_undo_redo_survive_reopening(store, labelled):
    ids = [entry.id for entry in store.entries(labelled)]
    assert store.set_label(labelled, ids[:2], "  new\n label ") == 2
    assert labels(store, labelled)[:3] == ["new label", "new label", "a"]
    again = Store(store.root)
    assert again.edit_step(labelled).undo == "2 scans: label “new label”"
    again.undo(labelled)
    assert labels(store, labelled) == ["a", "a", "a", "b", "b", "b"]
    assert store.edit_step(labelled) == EditStep(None, "2 scans: label “new label”")
    store.redo(labelled)
    assert labels(store, labelled)[:2] == ["new label", "new label"]
    assert store.redo(labelled) is None


def test_steps_are_taken_back_in_order_and_a_new_one_ends_redo(store, labelled):
    first = store.entries(labelled)[0].id
    store.set_label(labelled, [first], "x")
    store.set_label(labelled, [first], "y")
    store.undo(labelled)
    assert labels(store, labelled)[0] == "x"
    store.set_label(labelled, [first], "z")
    assert store.edit_step(labelled).redo is None
    store.undo(labelled)
    store.undo(labelled)
    assert labels(store, labelled)[0] == "a"
    assert store.undo(labelled) is None


def test_no_change_is_no_step(store, labelled):
    first = store.entries(labelled)[0].id
    assert store.set_label(labelled, [first], "a") == 0
    assert store.edit_step(labelled).undo is None


def test_patient_and_role_are_steps_too(store, labelled):
    entry = store.entries(labelled)[0]
    store.set_group(labelled, [entry.id], "A-01")
    store.set_role(labelled, [entry.id], "query")
    changed = store.entries(labelled)[0]
    assert (changed.group, changed.group_source, changed.role) == ("A-01", "person", "query")
    store.undo(labelled)
    store.undo(labelled)
    assert store.entries(labelled)[0] == entry


def test_empty_patient_is_refused(store, labelled):
    with pytest.raises(WorkspaceError, match="patient needs a name"):
        store.set_group(labelled, [store.entries(labelled)[0].id], "  ")


def test_removed_scans_come_back_until_forgotten(store, labelled):
    entry = store.entries(labelled)[0]
    store.remove(labelled, [entry.id])
    assert len(store.entries(labelled)) == 5
    assert store.removed_count(labelled) == 1
    store.undo(labelled)
    assert store.entries(labelled)[0] == entry
    store.remove(labelled, [entry.id])
    assert store.forget(labelled) == 1
    assert not store.blobs.folder(entry.scan_id).exists()
    store.undo(labelled)
    assert len(store.entries(labelled)) == 5


def test_removed_then_uploaded_again(store, labelled, picture):
    entry = store.entries(labelled)[0]
    store.remove(labelled, [entry.id])
    assert store.add_uploads(labelled, [("c/0.png", picture(0))]).accepted == 1
    store.undo(labelled)
    assert sorted(str(label) for label in labels(store, labelled)) == ["a", "a", "b", "b", "b", "c"]


def test_scans_removed_too_many_steps_ago_leave_the_disk(store, labelled, monkeypatch):
    monkeypatch.setattr(edits, "KEPT_STEPS", 3)
    gone, kept = store.entries(labelled)[:2]
    store.remove(labelled, [gone.id])
    for name in ("x", "y", "z"):
        store.set_label(labelled, [kept.id], name)
    assert not store.blobs.folder(gone.scan_id).exists()
    assert store.removed_count(labelled) == 0


def test_another_tasks_scans_cannot_be_edited(store, labelled, picture):
    other = store.create_task("other")
    assert store.set_label(other, [store.entries(labelled)[0].id], "x") == 0
    assert labels(store, labelled)[0] == "a"


def test_only_known_columns(store, labelled):
    with store.database.write() as connection, pytest.raises(ValueError, match="can be edited"):
        edits.apply_edit(connection, labelled, "x", [1], {"file": "x"})


def test_new_scans_are_deleted_for_good(store, labelled, picture):
    store.add_uploads(labelled, [("n.png", picture(500))], role="predict")
    (new,) = store.entries(labelled, "predict")
    assert store.discard_new(labelled) == 1
    assert not store.blobs.folder(new.scan_id).exists()
    assert len(store.entries(labelled)) == 6


def test_what_is_deleted_for_good_is_in_no_step_any_more(store, labelled):
    gone, other, third = store.entries(labelled)[:3]
    store.set_group(labelled, [gone.id, other.id], "Mrs Example")
    store.set_group(labelled, [gone.id], "Only hers")
    store.set_label(labelled, [third.id], "x")
    store.remove(labelled, [gone.id])
    store.forget(labelled)
    assert "label “x”" in store.edit_step(labelled).undo  # not the removal, which nothing can take back
    with store.database.read() as connection:
        steps = connection.execute("SELECT summary, changes FROM edit ORDER BY id").fetchall()
    assert len(steps) == 2  # that of the scan alone is gone, and its removal too
    assert not any(change[0] == gone.id for step in steps for change in json.loads(step["changes"]))
    store.undo(labelled)
    store.undo(labelled)
    assert {entry.id: entry.group for entry in store.entries(labelled)}[other.id] == other.group
