"""How scans look to the model: each looked at once, whatever goes wrong, with an extractor that counts."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
import torch

from medmeta.errors import CancelledError, ModelError
from medmeta.workspace import looks as module
from medmeta.workspace.looks import Looks
from medmeta.workspace.set_checks import check_task
from medmeta.workspace.work import look_work


class Counting:
    """Every scan looks the same, but for those named."""

    def __init__(self, odd: frozenset[str] = frozenset()) -> None:
        self.asked: list[str] = []
        self.odd = odd

    def extract(self, scans):
        self.asked += [scan.id for scan in scans]
        rows = torch.zeros(len(scans), 1280)
        for row, scan in zip(rows, scans, strict=True):
            row[1 if scan.file in self.odd else 0] = 1
        return rows


@pytest.fixture
def task_id(store, picture):
    task_id = store.create_task("Cats or dogs")
    store.add_uploads(task_id, [(f"{'ab'[n % 2]}/{n}.png", picture(n)) for n in range(12)])
    return task_id


def test_each_scan_once_and_a_later_one_too(store, task_id, picture):
    counting = Counting()
    looks = Looks(lambda: counting)
    said = []
    looks.complete(store, task_id, lambda fraction, message: said.append(message))
    assert len(counting.asked) == len(set(counting.asked)) == 12
    assert "Comparing the scans, 12 of 12" in said
    assert looks.missing(store.entries(task_id)) == []
    store.add_uploads(task_id, [("a/late.png", picture(99))])
    assert [entry.file for entry in looks.missing(store.entries(task_id))] == ["a/late.png"]
    looks.complete(store, task_id)
    assert len(counting.asked) == 13
    assert set(looks()) == {entry.scan_id for entry in store.entries(task_id)}


def test_too_few_scans_and_new_ones_are_not_looked_at(store, task_id):
    entries = store.entries(task_id)
    looks = Looks(Counting)
    assert looks.missing(entries[:9]) == []
    store.set_role(task_id, [entry.id for entry in entries[:3]], "predict")
    assert looks.missing(store.entries(task_id)) == []


def test_of_very_many_an_even_choice_is_compared(store, task_id, monkeypatch):
    monkeypatch.setattr(module, "MOST", 6)
    chosen = [entry.file for entry in Looks(Counting).missing(store.entries(task_id))]
    every = [entry.file for entry in store.entries(task_id)]
    assert chosen == every[::2]


def test_a_model_that_cannot_be_loaded_is_asked_for_once(store, task_id):
    asked = []

    def load():
        asked.append(1)
        raise ModelError("the weights are altered; install again")

    looks = Looks(load)
    looks.complete(store, task_id)
    looks.complete(store, task_id)
    assert (asked, looks(), looks.missing(store.entries(task_id))) == ([1], {}, [])


def test_a_damaged_scan_costs_itself_alone(store, task_id):
    first = store.entries(task_id)[0]
    (store.blobs.folder(first.scan_id) / "pixels.npy").write_bytes(b"junk")
    counting = Counting()
    looks = Looks(lambda: counting)
    looks.complete(store, task_id)
    assert len(looks()) == 11
    assert looks.missing(store.entries(task_id)) == []


def test_a_stop_keeps_what_was_looked_at(store, task_id):
    counting = Counting()
    looks = Looks(lambda: counting)

    def stop(fraction: float, message: str) -> None:
        if "4 of 12" in message:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        looks.complete(store, task_id, stop)
    assert len(looks()) == 3


def test_it_rests_while_a_model_adapts(store, task_id):
    """It ends instead of waiting: the next search for text must not wait behind it."""
    counting = Counting()
    looks = Looks(lambda: counting)
    with looks.resting():
        assert looks.at_rest
        looks.complete(store, task_id)
        assert counting.asked == []
    assert not looks.at_rest
    looks.complete(store, task_id)
    assert len(counting.asked) == 12


def test_it_stops_where_an_adaptation_begins_in_the_middle(store, task_id):
    counting = Counting()
    looks = Looks(lambda: counting)
    with ExitStack() as stack:

        def begin(fraction: float, message: str) -> None:
            if "4 of 12" in message:
                stack.enter_context(looks.resting())

        looks.complete(store, task_id, begin)
        assert len(counting.asked) == 4
        assert len(looks.missing(store.entries(task_id))) == 8


def test_the_oldest_go_first(store, task_id, picture, monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 12)
    looks = Looks(Counting)
    looks.complete(store, task_id)
    store.add_uploads(task_id, [("a/late.png", picture(99))])
    entries = store.entries(task_id)
    looks.complete(store, task_id)
    assert set(looks()) == {entry.scan_id for entry in entries[1:]}


def test_the_checks_name_a_stray_once_the_job_has_looked(store, runner, task_id):
    looks = Looks(lambda: Counting(frozenset({store.entries(task_id)[2].file})))
    entries = store.entries(task_id)
    assert "stray" not in {finding.kind for finding in check_task(store, entries, looks)}
    job = runner.submit("text", task_id, look_work(store, task_id, looks))
    assert runner.wait(job.id).state == "done"
    found = {finding.kind: finding for finding in check_task(store, entries, looks)}
    assert found["stray"].keys == (entries[2].id,)
    assert "new-kind" in found  # a vector of one axis is like nothing the model was trained on
    assert "stray" not in {finding.kind for finding in check_task(store, entries)}


def test_threads_may_look_and_ask_at_once(store, task_id):
    looks = Looks(Counting)
    threads = [threading.Thread(target=looks.complete, args=(store, task_id)) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        looks()
    assert len(looks()) == 12


def test_memory_that_ran_out_is_tried_again_but_not_for_ever(store, task_id):
    asked = []

    def load():
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("CUDA out of memory")
        return Counting()

    looks = Looks(load)
    looks.complete(store, task_id)
    assert looks() == {}
    looks.complete(store, task_id)
    assert len(looks()) == 12

    def never():
        asked.append(1)
        raise RuntimeError("CUDA out of memory")

    asked.clear()
    looks = Looks(never)
    for _ in range(9):
        looks.complete(store, task_id)
    assert len(asked) == 3
    assert looks.missing(store.entries(task_id)) == []
