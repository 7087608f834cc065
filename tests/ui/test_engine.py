"""The shared model: loaded once, its failure told and tried again."""

from __future__ import annotations

import threading

import pytest

from medmeta.errors import ModelError
from medmeta.learners import registry
from medmeta.ui.engine import Engine


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
