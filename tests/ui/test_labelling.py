"""Labelling one by one, without a browser: keys, the way through the scans, undo."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from medmeta.ui import labelling
from medmeta.ui.guard import Context
from medmeta.ui.label_keys import LETTERS, label_keys
from medmeta.workspace.reading import Reading
from medmeta.workspace.store import Store
from medmeta.workspace.volumes import volumes

VIEWER = set("irm") | set("unb") | set("chlvz")


def test_keys_are_distinct_and_leave_the_viewers_own_alone():
    names = ["clear", "mass", "melanoma", "naevus", "Ödem", "12", *(f"x{n}" for n in range(20))]
    keys = label_keys(names)
    given = [key for key in keys.values() if key is not None]
    assert len(given) == len(set(given)) == len(LETTERS)
    assert not VIEWER & set(given)
    assert keys == label_keys(names[::-1])
    assert keys["clear"] == "e"  # c and l belong to others
    assert label_keys(["nodule", "oedema"]) == {"nodule": "o", "oedema": "e"}


@pytest.fixture
def filled(tmp_path):
    from helpers import stripes

    store = Store(tmp_path / "workspace")
    task_id = store.create_task("t")
    store.add_uploads(task_id, [(f"{n}.png", stripes(n, upright=True)) for n in range(4)])
    return store, store.find_task(task_id)


@pytest.fixture
def table(filled, monkeypatch):
    store, task = filled
    state = {}
    monkeypatch.setattr(labelling.st, "session_state", state)
    return SimpleNamespace(
        store=store,
        task=task,
        context=Context(store, None, None, None),
        state=state,
        rows=lambda: volumes(store.entries(task.id)),
    )


def press(table, what, *, shown=None, **more):
    """What a key does while the scan that the state names is on the screen."""
    rows = table.rows()
    here = table.state.setdefault("at", rows[0].id)
    queue = rows
    act = labelling._act(table.context, table.task, "at", queue, {"a": "a", "b": "d"})
    pane = SimpleNamespace(id=str(here), volume=next(row for row in rows if row.id == here))
    act({"do": what, "pane": str(here) if shown is None else shown, **more}, [pane])
    return [row.label for row in table.rows()], table.state["at"] - rows[0].id


def test_a_label_brings_the_next_scan_without_one(table):
    table.store.set_label(table.task.id, table.rows()[1].ids, "b")
    assert press(table, "label", label="a") == (["a", "b", None, None], 2)
    assert press(table, "label", label="b") == (["a", "b", "b", None], 3)
    assert press(table, "label", label="a") == (["a", "b", "b", "a"], 3)


def test_skip_goes_round_and_back_retraces(table):
    assert press(table, "next")[1] == 1
    assert press(table, "label", label="a")[1] == 2
    assert press(table, "next")[1] == 3
    assert press(table, "next")[1] == 0
    assert [press(table, "back")[1] for _ in range(5)] == [3, 2, 1, 0, 0]


def test_undo_takes_the_label_back_and_shows_that_scan(table):
    press(table, "label", label="a")
    press(table, "label", label="b")
    assert press(table, "undo") == (["a", None, None, None], 1)
    assert press(table, "undo") == ([None] * 4, 0)
    assert press(table, "undo") == ([None] * 4, 0)


def test_what_was_said_of_another_scan_or_of_no_class_changes_nothing(table):
    assert press(table, "label", label="a", shown="gone") == ([None] * 4, 0)
    assert press(table, "label", label="<b>") == ([None] * 4, 0)
    assert press(table, "format the disk") == ([None] * 4, 0)


def test_the_queue_may_be_shorter_than_the_task(table):
    rows = table.rows()
    assert labelling.following(rows[1:3], rows[0].id) == rows[1].id
    assert labelling.following([], rows[0].id) == rows[0].id


def screen(context, task):
    from medmeta.ui.labelling import labelling

    labelling(context, task, "support", lambda: None)


def test_an_answer_brings_the_scan_of_most_doubt_once_and_then_leaves_the_screen_alone(filled, monkeypatch):
    store, task = filled
    rows, jobs, seen = volumes(store.entries(task.id)), [], []
    readings = [
        Reading(row.key.scan_id, row.key.file, ("a", "b"), "a", (p, 1 - p), False, False, ())
        for row, p in zip(rows, (0.9, 0.8, 0.5, 0.6), strict=True)
    ]
    monkeypatch.setattr(labelling, "load_readings", lambda folder: readings)
    monkeypatch.setattr(labelling, "show", lambda context, current, *rest, **more: seen.append(current.id))
    board = SimpleNamespace(
        jobs=lambda task_id, kind: [job for job in jobs if job.kind == kind], result=lambda job: None
    )
    app = AppTest.from_function(screen, args=(Context(store, board, None, task), task), default_timeout=60)

    def draw():
        app.run()
        assert not app.exception
        return seen[-1] - rows[0].id

    assert draw() == 0
    done = {"live": False, "state": "done", "params": {"run": "r"}}
    jobs += [SimpleNamespace(kind="adapt", id="r", **done), SimpleNamespace(kind="rank", id="one", **done)]
    assert draw() == 2
    app.session_state[f"label-at-{task.id}-support"] = rows[1].id  # the person went on
    assert draw() == 1
    jobs[1].id = "two"
    store.set_label(task.id, rows[2].ids, "a")
    assert draw() == 3
