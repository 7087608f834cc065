"""The shared model: loaded once, its failure told and tried again."""

from __future__ import annotations

import threading

import pytest
import torch
from helpers import stripes

from medmeta.errors import ModelError
from medmeta.learners import registry
from medmeta.learners.registry import make_learner
from medmeta.ui.engine import Engine
from medmeta.workspace.store import Store


class Loaded:
    device_name = "CPU"


def test_loaded_once_for_many_threads(monkeypatch):
    calls = []
    monkeypatch.setattr(registry, "load_extractor", lambda: calls.append(1) or Loaded())
    engine = Engine()
    assert engine.device is None
    threads = [threading.Thread(target=engine.extractor) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert engine.device == "CPU"


def test_scans_are_looked_at_with_both_trunks_so_that_adapting_need_not(tmp_path):
    """What the job of the Scans page leaves behind is what the learner asks for."""
    engine = Engine()
    store = Store(tmp_path / "workspace")
    task_id = store.create_task("Stripes")
    store.add_uploads(
        task_id, [(f"{'ab'[n % 2]}/{n}.png", stripes(n, upright=n % 2 == 0)) for n in range(10)]
    )
    engine.looks.complete(store, task_id)
    extractor = engine.extractor()
    scans = [store.scan(entry) for entry in store.entries(task_id)]
    plain = extractor.extract(scans)
    assert torch.equal(torch.tensor(engine.looks()[scans[0].id]), plain[0].half())
    asked = []
    for each in (extractor, extractor.companion(lambda: None)):
        each._row = asked.append
    make_learner("default", extractor).look(scans)
    assert asked == []


def test_failure_is_told_and_the_next_try_may_succeed(monkeypatch):
    def fail():
        raise ModelError("the weights are altered; install again")

    monkeypatch.setattr(registry, "load_extractor", fail)
    engine = Engine()
    engine._load_quietly()
    assert engine.problem == "the weights are altered; install again"
    with pytest.raises(ModelError):
        engine.extractor()
    monkeypatch.setattr(registry, "load_extractor", Loaded)
    engine.extractor()
    assert (engine.problem, engine.device) == (None, "CPU")
