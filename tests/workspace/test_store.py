"""The store against what was put in, across reopening, threads and deletion."""

from __future__ import annotations

import io
import os
import stat
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medmeta.errors import CancelledError, TaskError
from medmeta.workspace.records import WorkspaceError
from medmeta.workspace.store import Store, default_root


def test_default_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDMETA_WORKSPACE", str(tmp_path / "here"))
    assert default_root() == tmp_path / "here"
    monkeypatch.delenv("MEDMETA_WORKSPACE")
    assert default_root() == Path.home() / ".medmeta"


def test_folder_is_private(store):
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    assert stat.S_IMODE((store.root / "workspace.sqlite").stat().st_mode) == 0o600


def test_pixels_come_back_as_they_went_in(store, picture):
    task_id = store.create_task("t")
    data = picture(1)
    summary = store.add_uploads(task_id, [("lung/one.png", data)])
    assert (summary.accepted, summary.duplicates, summary.rejected) == (1, 0, ())
    again = Store(store.root)
    (entry,) = again.entries(task_id)
    assert (entry.label, entry.role, entry.rows, entry.columns) == ("lung", "support", 64, 64)
    scan = again.scan(entry)
    assert isinstance(scan.pixels, np.memmap)
    assert not scan.pixels.flags.writeable
    assert scan.id == entry.scan_id
    np.testing.assert_array_equal(scan.pixels[0], np.asarray(Image.open(io.BytesIO(data))))
    assert Image.open(io.BytesIO(again.thumbnail(entry))).size == (96, 96)


def test_uploaded_name_is_shown_but_is_no_path(store, picture):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("secret-name.png", picture(1))])
    assert store.entries(task_id)[0].file.endswith("secret-name.png")
    assert not [path for path in store.root.rglob("*") if "secret" in path.name]


def test_same_pixels_twice_count_once(store, picture):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("a/1.png", picture(1))])
    summary = store.add_uploads(task_id, [("a/copy.png", picture(1)), ("a/2.png", picture(2))])
    assert (summary.accepted, summary.duplicates) == (1, 1)
    assert len(store.entries(task_id)) == 2


def test_same_pixels_under_another_label_are_refused_with_both_names(store, picture):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("a/1.png", picture(1))])
    summary = store.add_uploads(task_id, [("b/other.png", picture(1))])
    assert summary.accepted == 0
    (refused,) = summary.rejected
    assert "1.png" in refused.reason
    assert "label a" in refused.reason
    assert store.entries(task_id)[0].label == "a"


def test_an_upload_may_bring_the_missing_label_and_one_undo_takes_it_back(store, picture):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("1.png", picture(1)), ("2.png", picture(2))])
    assert [entry.label for entry in store.entries(task_id)] == [None, None]
    summary = store.add_uploads(task_id, [("a/1.png", picture(1)), ("a/2.png", picture(2))])
    assert (summary.accepted, summary.relabelled) == (0, 2)
    assert [entry.label for entry in store.entries(task_id)] == ["a", "a"]
    store.undo(task_id)
    assert [entry.label for entry in store.entries(task_id)] == [None, None]


def test_an_image_stands_on_one_side_only(store, picture):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("a/1.png", picture(1))])
    query = store.add_uploads(task_id, [("a/1.png", picture(1))], role="query")
    assert "one side only" in query.rejected[0].reason
    new = store.add_uploads(task_id, [("1.png", picture(1))], role="predict")
    assert "cannot be read as a new one" in new.rejected[0].reason


def test_new_scans_take_no_label_from_their_folder_and_can_join_the_task(store, picture):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("a/1.png", picture(1))], role="predict")
    assert store.entries(task_id)[0].label is None
    summary = store.add_uploads(task_id, [("b/1.png", picture(1))])
    assert summary.accepted == 1
    (entry,) = store.entries(task_id)
    assert (entry.role, entry.label) == ("support", "b")


def test_broken_file_is_refused_and_the_reason_stays_until_dismissed(store, picture):
    task_id = store.create_task("t")
    summary = store.add_uploads(task_id, [("bad.png", b"not a picture at all"), ("a/1.png", picture(1))])
    assert summary.accepted == 1
    assert [item.file for item in summary.rejected] == ["bad.png"]
    (notice,) = [item for item in Store(store.root).notices(task_id, "support") if item.is_rejection]
    assert notice.file == "bad.png"
    assert notice.text
    assert store.notices(task_id, "query") == []
    store.dismiss(task_id, "support")
    assert store.notices(task_id) == []


def test_zip_with_labels_csv(store, picture):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("one.png", picture(1))
        archive.writestr("two.png", picture(2))
        archive.writestr("labels.csv", "file,label,group\none.png,sick,P1\ntwo.png,well,P2\n")
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("scans.zip", buffer.getvalue())])
    assert {(e.label, e.group, e.group_source) for e in store.entries(task_id)} == {
        ("sick", "P1", "labels.csv"),
        ("well", "P2", "labels.csv"),
    }


def test_cancelled_intake_keeps_what_was_read(store, picture):
    task_id = store.create_task("t")

    def stop_soon(fraction: float, message: str) -> None:
        if store.entries(task_id):
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        store.add_uploads(task_id, [(f"a/{n}.png", picture(n)) for n in range(8)], stop_soon)
    assert 1 <= len(store.entries(task_id)) < 8


def test_task_hands_out_labelled_scans_and_counts_the_others(store, labelled, picture):
    store.add_uploads(labelled, [("loose.png", picture(99))])
    store.describe(labelled, "a", "stripes")
    sets = store.task(labelled)
    assert sets.support.classes == ("a", "b")
    assert sets.support.scans_per_class() == {"a": 3, "b": 3}
    assert sets.support.descriptions == {"a": "stripes"}
    assert sets.unlabelled == 1


def test_query_of_two_classes_becomes_a_task(store, labelled, picture):
    store.add_uploads(labelled, [("a/q.png", picture(100)), ("b/q.png", picture(101))], role="query")
    query = store.task(labelled).query
    assert query is not None
    assert query.classes == ("a", "b")


def test_query_of_one_class_is_said_to_be_the_query(store, labelled, picture):
    store.add_uploads(labelled, [("a/q.png", picture(100))], role="query")
    with pytest.raises(TaskError, match="the test scans cannot be used"):
        store.task(labelled)


def test_one_class_is_said_so(store, picture):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("a/1.png", picture(1))])
    with pytest.raises(TaskError, match="at least 2 classes"):
        store.task(task_id)


def test_gone_pixels_name_the_file(store, labelled):
    entry = store.entries(labelled)[0]
    (store.blobs.folder(entry.scan_id) / "pixels.npy").write_bytes(b"junk")
    with pytest.raises(WorkspaceError, match="missing or damaged"):
        store.scan(entry)
    assert store.thumbnail(entry)  # still stored


def test_no_path_is_made_of_anything_but_a_hash(store):
    for name in ("../../etc/passwd", "a" * 63, "A" * 64, ""):
        with pytest.raises(WorkspaceError):
            store.blobs.folder(name)


def test_deleting_a_task_purges_only_what_no_other_task_uses(store, picture):
    one, two = store.create_task("one"), store.create_task("two")
    store.add_uploads(one, [("a/shared.png", picture(1)), ("a/own.png", picture(2))])
    store.add_uploads(two, [("a/shared.png", picture(1))])
    by_file = {entry.file: entry.scan_id for entry in store.entries(one)}
    shared, own = by_file["a/shared.png"], by_file["a/own.png"]
    store.delete_task(one)
    assert store.find_task(one) is None
    assert store.blobs.folder(shared).exists()
    assert not store.blobs.folder(own).exists()
    assert store.scan(store.entries(two)[0]).rows == 64


def test_tasks_are_listed_by_last_use_with_counts(store, labelled):
    other = store.create_task("")
    assert [task.id for task in store.tasks()] == [other, labelled]
    store.touch(labelled)
    first = store.tasks()[0]
    assert (first.id, first.support, first.labelled, first.classes, first.patients) == (labelled, 6, 6, 2, 6)
    assert store.find_task(other).name == "Untitled task"


def test_upload_to_a_deleted_task_says_so(store, picture):
    task_id = store.create_task("t")
    store.delete_task(task_id)
    with pytest.raises(WorkspaceError, match="deleted"):
        store.add_uploads(task_id, [("a/1.png", picture(1))])


def test_signature_follows_labels_patients_and_roles_only(store, labelled):
    start = store.signature(labelled)
    store.describe(labelled, "a", "text")
    assert store.signature(labelled) == start
    entry = store.entries(labelled)[0]
    store.set_label(labelled, [entry.id], "b")
    assert store.signature(labelled) != start
    store.undo(labelled)
    assert store.signature(labelled) == start


def test_many_threads_write_at_once(store, picture):
    task_id = store.create_task("t")
    errors: list[BaseException] = []

    def add(number: int) -> None:
        try:
            store.add_uploads(task_id, [(f"a/{number}-{n}.png", picture(100 * number + n)) for n in range(5)])
            store.set_label(task_id, [entry.id for entry in store.entries(task_id)], f"label {number}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(store.entries(task_id)) == 30


def test_workspace_of_another_version_is_refused(store):
    with store.database.write() as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(WorkspaceError, match="another version"):
        Store(store.root)


def test_no_identifying_text_is_kept(store, shared_data):
    """Real DICOM whose every identifying element holds a canary."""
    task_id = store.create_task("canary")
    for name in ("kermany_cxr_dicom.zip", "lc25000_lung_dicom.zip"):
        with (shared_data / "dicom" / name).open("rb") as handle:
            summary = store.add_uploads(task_id, [(name, handle)])
        assert summary.accepted > 0
        assert summary.rejected == ()
    entries = store.entries(task_id)
    assert len(entries) == 120 + 72
    assert {entry.group_source for entry in entries} <= {"PatientID", "labels.csv"}
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert len(files) > 2 * len(entries)
    assert not [path.name for path in files if b"PHI-CANARY" in path.read_bytes()]


def test_pixels_without_a_row_go_when_the_workspace_is_opened_a_day_later(
    store, labelled, picture, monkeypatch
):
    before = {entry.scan_id for entry in store.entries(labelled)}
    other = store.create_task("full disk")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store.blobs, "settle", full)
        with pytest.raises(OSError, match="No space"):
            store.add_uploads(other, [("a/1.png", picture(77))])
    assert store.entries(other) == []
    (stray,) = [path for path in store.blobs.root.glob("??/*") if path.name not in before]
    Store(store.root)
    assert stray.exists()  # it may be that of an upload under way
    yesterday = time.time() - 90_000
    for path in store.blobs.root.glob("??/*"):
        os.utime(path, (yesterday, yesterday))
    Store(store.root)
    assert not stray.exists()
    assert all(store.blobs.folder(scan_id).exists() for scan_id in before)


def test_the_record_of_an_upload_names_no_file(store, picture):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x/John_Doe.png", picture(1))
        archive.writestr("labels.csv", "file,label\nx/John_Doe.png,sick\n")
        archive.writestr("x/labels.csv", "file,label\nJohn_Doe.png,well\n")
    task_id = store.create_task("t")
    summary = store.add_uploads(task_id, [("scans.zip", buffer.getvalue())])
    assert any("otherwise" in item.reason for item in summary.rejected)
    assert any("John_Doe.png" in notice.text for notice in store.notices(task_id, "support"))
    with store.database.read() as connection:
        record = "".join(str(tuple(row)) for row in connection.execute("SELECT * FROM audit"))
    assert "otherwise" in record
    assert "John_Doe" not in record
