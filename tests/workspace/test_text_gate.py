"""Flagged scans wait for a person: kept, blanked, removed, each undone, and written down."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from helpers import soft
from PIL import Image

from medmeta.errors import CancelledError
from medmeta.scans.dicom import SAYS_BURNED_IN
from medmeta.scans.pixel_text import TextFinder
from medmeta.workspace import pixel_text
from medmeta.workspace.deid_report import report_of_task
from medmeta.workspace.looks import Looks
from medmeta.workspace.readiness import check
from medmeta.workspace.records import WorkspaceError
from medmeta.workspace.set_checks import check_task
from medmeta.workspace.store import Store
from medmeta.workspace.work import intake_work, look_work


@pytest.fixture(scope="module")
def finder() -> TextFinder:
    return TextFinder()


@pytest.fixture
def flagged(store: Store, finder: TextFinder) -> str:
    """Three scans of each class; a/0 bears a name."""
    task_id = store.create_task("Text")
    uploads = [(f"{label}/{n}.png", soft(10 * k + n)) for k, label in enumerate("ab") for n in range(3)]
    uploads[0] = ("a/0.png", soft(0, "DOE^JANE 1961"))
    store.add_uploads(task_id, uploads)
    assert pixel_text.search(store, task_id, finder) == 6
    return task_id


def held(store: Store, task_id: str) -> list[str]:
    return [entry.file for entry in store.entries(task_id) if entry.held]


def test_a_flagged_scan_is_not_used_and_readiness_names_it(store, flagged, finder):
    assert held(store, flagged) == ["a/0.png"]
    assert store.task(flagged).support.scans_per_class() == {"a": 2, "b": 3}
    state = check(store.entries(flagged))
    assert state.ready
    assert "a/0.png" in state.advice[0]
    assert "Scans page" in state.advice[0]
    assert pixel_text.search(store, flagged, finder) == 0  # each scan once


def test_several_threads_find_what_one_finds(store, flagged, finder):
    known = pixel_text.found(store, flagged)
    assert {entry.scan_id: finder.find(store.scan(entry)) for entry in store.entries(flagged)} == {
        scan_id: text.boxes for scan_id, text in known.items()
    }


def test_scans_are_there_before_the_search_and_wait_after_it(store, runner):
    task_id = store.create_task("Text")
    uploads = [("a/0.png", soft(0, "DOE^JANE 1961")), ("a/1.png", soft(1)), ("b/2.png", soft(2))]
    seen = []

    def too_few():
        raise AssertionError("three scans are not compared")

    def look():
        seen.extend(entry.file for entry in store.entries(task_id))
        runner.submit("text", task_id, look_work(store, task_id, Looks(too_few)))

    job = runner.submit("intake", task_id, intake_work(store, task_id, uploads, "support", look=look))
    assert runner.wait(job.id).message == "3 scans added"
    assert sorted(seen) == ["a/0.png", "a/1.png", "b/2.png"]
    (search,) = runner.jobs(task_id, "text")
    assert runner.wait(search.id).state == "done"
    assert held(store, task_id) == ["a/0.png"]
    assert pixel_text.waiting(store, task_id) == 1
    assert list(pixel_text.flagged(store, task_id)) == [
        entry.scan_id for entry in store.entries(task_id) if entry.held
    ]


class Counting:
    """Finds nothing, and counts who asks about what."""

    def __init__(self):
        self.asked = []

    def find(self, scan):
        time.sleep(0.02)
        self.asked.append(scan.id)
        return ()


def test_two_searches_at_once_look_at_each_scan_once(store):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [(f"a/{n}.png", soft(n)) for n in range(8)])
    counting = Counting()
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: pixel_text.search(store, task_id, counting), range(2)))
    assert sorted(answers) == [0, 8]
    assert len(counting.asked) == len(set(counting.asked)) == 8


def test_a_search_begins_few_scans_ahead(store):
    """A program that is stopped waits for what was begun: 40 scans would be seconds."""
    task_id = store.create_task("t")
    store.add_uploads(task_id, [(f"a/{n}.png", soft(n)) for n in range(40)])
    counting = Counting()

    def stop(fraction: float, message: str) -> None:
        raise CancelledError("enough")

    with pytest.raises(CancelledError):
        pixel_text.search(store, task_id, counting, stop)
    assert 1 <= len(counting.asked) < 16


def test_scans_that_come_during_the_search_are_looked_at_too(store):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("a/0.png", soft(0))])
    more = iter([("a/1.png", soft(1))])

    def meanwhile(fraction: float, message: str) -> None:
        store.add_uploads(task_id, list(more))

    assert pixel_text.search(store, task_id, Counting(), meanwhile) == 2
    assert pixel_text.unseen(store, task_id) == []


def test_a_scan_without_pixels_does_not_keep_the_search_going(store):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("a/0.png", soft(0)), ("a/1.png", soft(1))])
    gone = store.entries(task_id)[0]
    (store.blobs.folder(gone.scan_id) / "pixels.npy").unlink()
    assert pixel_text.search(store, task_id, Counting()) == 2
    assert [entry.id for entry in pixel_text.unseen(store, task_id)] == [gone.id]


def test_readiness_says_so_where_all_wait():
    from dataclasses import replace

    from test_readiness import entry

    state = check([replace(entry(n, "a"), held=True) for n in range(3)])
    assert "3 scans may show text" in state.problems[0]


def test_keeping_is_taken_back_and_changes_what_a_run_stands_on(store, flagged):
    before = store.signature(flagged)
    chosen = [entry for entry in store.entries(flagged) if entry.held]
    pixel_text.keep(store, flagged, chosen)
    assert held(store, flagged) == []
    assert store.task(flagged).support.scans_per_class() == {"a": 3, "b": 3}
    assert store.signature(flagged) != before
    again = Store(store.root)
    pixel_text.ask_again(again, flagged, chosen)
    assert held(again, flagged) == ["a/0.png"]
    assert store.signature(flagged) == before


def test_blanking_overwrites_and_undo_brings_the_first_back(store, flagged, finder):
    (entry,) = [entry for entry in store.entries(flagged) if entry.held]
    boxes = pixel_text.found(store, flagged)[entry.scan_id].boxes
    pixel_text.blank(store, flagged, [entry])
    (new,) = [each for each in store.entries(flagged) if each.file == "a/0.png"]
    assert new.scan_id != entry.scan_id
    assert (new.label, new.group, new.role, new.held) == (entry.label, entry.group, entry.role, False)
    scan = store.scan(new)
    assert finder.find(scan) == ()
    box = boxes[0]
    assert len(np.unique(scan.pixels[0, box.top : box.bottom, box.left : box.right])) == 1
    assert store.thumbnail(new) != store.thumbnail(entry)
    assert len(store.entries(flagged)) == 6
    assert "blanked" in (store.undo(flagged) or "")
    assert [each.scan_id for each in store.entries(flagged) if each.file == "a/0.png"] == [entry.scan_id]
    assert held(store, flagged) == ["a/0.png"]
    store.redo(flagged)
    assert held(store, flagged) == []
    store.forget(flagged)
    assert not store.blobs.folder(entry.scan_id).exists()


def test_a_scan_without_a_place_cannot_be_blanked(store, flagged):
    clean = store.entries(flagged)[1]
    with pytest.raises(WorkspaceError, match="no text was found"):
        pixel_text.blank(store, flagged, [clean])
    assert store.edit_step(flagged).undo is None


def test_removing_is_undone_like_any_removal(store, flagged):
    pixel_text.remove(store, flagged, [entry for entry in store.entries(flagged) if entry.held])
    assert len(store.entries(flagged)) == 5
    store.undo(flagged)
    assert held(store, flagged) == ["a/0.png"]


def test_tags_alone_flag_a_scan(store, finder, monkeypatch):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [("a/1.png", soft(1)), ("a/2.png", soft(2))])
    with store.database.write() as connection:
        row = connection.execute("SELECT id, meta FROM entry WHERE file = 'a/1.png'").fetchone()
        meta = {**json.loads(row["meta"]), "warnings": [SAYS_BURNED_IN]}
        connection.execute("UPDATE entry SET meta = ? WHERE id = ?", (json.dumps(meta), row["id"]))
    pixel_text.search(store, task_id, finder)
    assert held(store, task_id) == ["a/1.png"]


def test_a_cancelled_search_goes_on_where_it_stopped(store, finder):
    task_id = store.create_task("t")
    store.add_uploads(task_id, [(f"a/{n}.png", soft(n)) for n in range(4)])

    def stop(fraction: float, message: str) -> None:
        if "3 of" in message:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        pixel_text.search(store, task_id, finder, stop)
    assert pixel_text.search(store, task_id, finder) == 2


def test_what_was_decided_is_in_the_report_and_in_the_audit(store, flagged):
    store.add_uploads(flagged, [("bad.png", b"\x89PNG\r\n\x1a\nnothing")])
    (entry,) = [entry for entry in store.entries(flagged) if entry.held]
    assert report_of_task(store, flagged).text.waiting == 1
    pixel_text.blank(store, flagged, [entry])
    report = report_of_task(store, flagged)
    assert (report.text.looked, report.text.found, report.text.blanked, report.text.waiting) == (6, 1, 1, 0)
    assert sum(report.refused.values()) == 1
    assert [act for _, act, _ in report.acts] == [
        "files taken in",
        "files taken in",
        "burned-in text blanked",
    ]
    assert report.patients == (("nothing: the file counts as a patient of its own", 6, 6),)
    store.delete_task(flagged)
    with closing(sqlite3.connect(store.root / "workspace.sqlite")) as database:
        for table in ("audit", "pixel_text"):
            assert database.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)


def test_checks_of_a_task_see_copies_and_end_with_their_removal(store):
    task_id = store.create_task("t")
    picture = Image.open(io.BytesIO(soft(3)))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    uploads = [(f"a/{n}.png", soft(n)) for n in range(4)] + [
        ("b/9.png", soft(9)),
        ("b/copy.jpg", out.getvalue()),
    ]
    store.add_uploads(task_id, uploads)
    (finding,) = [f for f in check_task(store, store.entries(task_id)) if f.kind.startswith("copy")]
    assert finding.kind == "copy-two-labels"
    assert "a/3.png and b/copy.jpg" in finding.sentence
    # Which pictures are alike is remembered; what that means follows the labels.
    store.set_label(task_id, [finding.keys[1]], "a")
    assert "copy-two-patients" in [f.kind for f in check_task(store, store.entries(task_id))]
    store.undo(task_id)
    store.remove(task_id, [finding.keys[1]])
    assert [f.kind for f in check_task(store, store.entries(task_id)) if f.kind.startswith("copy")] == []


def test_a_workspace_of_before_gets_the_new_tables(store, labelled):
    with store.database.write() as connection:
        connection.execute("DROP TABLE pixel_text")
        connection.execute("DROP TABLE audit")
    again = Store(store.root)
    assert len(again.entries(labelled)) == 6
    assert pixel_text.found(again, labelled) == {}
