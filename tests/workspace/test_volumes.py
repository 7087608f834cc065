"""A series in the workspace: one row, one label, the marked or the central slice; undo brings all of it back."""

from __future__ import annotations

import sqlite3

import pytest
from helpers import ct_slice

from medmeta.workspace import readiness
from medmeta.workspace.store import Store
from medmeta.workspace.volumes import used, volumes


@pytest.fixture
def task_id(store: Store) -> str:
    """Four patients with a series of five slices each, two of class a and two of b, and one scout."""
    task_id = store.create_task("Volumes")
    uploads = [
        (
            f"{'ab'[patient % 2]}/p{patient}/IM{n}",
            ct_slice(f"P{patient}", f"1.{patient}", -3 * n, 100 * patient + n),
        )
        for patient in range(4)
        for n in range(5)
    ]
    uploads.append(("a/p0/scout", ct_slice("P0", "1.9", 0, 900, "LOCALIZER")))
    assert store.add_uploads(task_id, uploads).accepted == 21
    return task_id


def rows(store, task_id):
    return volumes(store.entries(task_id))


def test_a_series_is_one_row_in_the_order_of_its_slices(store, task_id):
    series = [volume for volume in rows(store, task_id) if volume.is_series]
    (scout,) = [volume for volume in rows(store, task_id) if not volume.is_series]
    assert [len(volume.entries) for volume in series] == [5, 5, 5, 5]
    assert [entry.file[-1] for entry in series[0].entries] == list("43210")
    assert [entry.file for entry in series[0].used] == ["a/p0/IM2"]
    assert series[0].label == "a"
    assert scout.used == ()
    assert scout.stack.localizer


def test_the_central_slice_alone_is_learned_from_until_others_are_marked(store, task_id):
    support = store.task(task_id).support
    assert sorted(scan.file for scan in support.scans) == ["a/p0/IM2", "a/p2/IM2", "b/p1/IM2", "b/p3/IM2"]
    assert readiness.check(store.entries(task_id)).ready
    first = rows(store, task_id)[0]
    before = store.signature(task_id)
    store.set_marked(task_id, [first.entries[0].id, first.entries[4].id], True)
    assert store.edit_step(task_id).undo == "2 scans: marked to carry the label"
    assert [scan.file for scan in store.task(task_id).support.scans][:2] == ["a/p0/IM0", "a/p0/IM4"]
    assert len({scan.group for scan in store.task(task_id).support.scans}) == 4
    assert store.signature(task_id) != before
    store.undo(task_id)
    assert store.signature(task_id) == before
    assert rows(store, task_id)[0] == first


def test_a_series_counts_once_on_the_card_of_the_task(store, task_id):
    info = store.find_task(task_id)
    assert (info.support, info.labelled, info.patients) == (5, 5, 4)  # four volumes and a scout


def test_a_label_for_the_row_is_one_step_for_all_its_slices(store, task_id):
    first = rows(store, task_id)[0]
    assert store.set_label(task_id, first.ids, "new") == 5
    assert rows(store, task_id)[0].label == "new"
    store.undo(task_id)
    assert rows(store, task_id)[0].label == "a"
    store.set_label(task_id, first.ids[1:3], "b")
    mixed = rows(store, task_id)[0]
    assert (mixed.label, mixed.why, len(mixed.used)) == ("a / b", "labelled one by one", 5)


def test_slices_of_one_series_that_a_person_moves_stay_on_their_side(store, task_id):
    first = rows(store, task_id)[0]
    store.set_role(task_id, first.ids[:2], "query")
    parts = [volume for volume in rows(store, task_id) if volume.entries[0].group == first.entries[0].group]
    assert sorted(len(volume.entries) for volume in parts) == [1, 2, 3]
    # A patient on both sides is refused, whichever slices are used.
    assert any("both the scans" in text for text in readiness.check(store.entries(task_id)).problems)


def test_unlabelled_volumes_count_once(store, task_id):
    store.set_label(task_id, rows(store, task_id)[-1].ids, None)
    assert store.task(task_id).unlabelled == 1
    assert "1 scan without a label will be left out." in readiness.check(store.entries(task_id)).advice


def test_of_new_scans_the_central_slice_is_read(store, task_id):
    store.add_uploads(
        task_id, [(f"n{n}", ct_slice("P9", "1.99", n, 500 + n)) for n in range(3)], role="predict"
    )
    assert [entry.file for entry in used(store.entries(task_id, "predict"))] == ["n1"]


def test_a_workspace_from_before_marks_is_brought_up_to_date(store, task_id):
    store.delete_task(task_id)
    task_id = store.create_task("From before")
    store.add_uploads(task_id, [("a/1", ct_slice("P", "1.2", 0, 1)), ("b/1", ct_slice("Q", "1.3", 0, 2))])
    before = [entry.file for entry in store.entries(task_id)]
    with sqlite3.connect(store.database.path) as connection:
        connection.execute("ALTER TABLE entry DROP COLUMN marked")
        connection.execute("ALTER TABLE entry DROP COLUMN series")
        connection.execute("PRAGMA user_version = 1")
    again = Store(store.root)
    assert [entry.file for entry in again.entries(task_id)] == before
    assert again.set_marked(task_id, [again.entries(task_id)[0].id], True) == 1
    assert again.entries(task_id)[0].series == ""
