"""Architecture search on scores that are known."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from toy_model import ToyModel

from medmeta.errors import CancelledError, ModelError
from medmeta.models.episodic import EpisodicModel
from medmeta.training.search import Choice, Config, Range, SearchResult, search

pytest.importorskip("optuna")

LAYERS = (["conv4"], ["conv4", "fc"], ["fc"])
SPACE = {
    "dynamic_layers": Choice(LAYERS),
    "rank": Range(1, 16, log=True),
    "inner_steps": Range(1, 8),
    "film_bound": Range(0.1, 1.0),
}


class Candidate(ToyModel):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config


def evaluate(model: EpisodicModel) -> float:
    """Highest, 0, for conv4 and fc, rank 4, 8 steps and a bound of 0.5."""
    assert isinstance(model, Candidate)
    c = model.config
    wrong = c["dynamic_layers"] != ["conv4", "fc"]
    return -(2.0 * wrong + abs(c["rank"] - 4) / 4 + (8 - c["inner_steps"]) / 4 + abs(c["film_bound"] - 0.5))


def run(trials: int = 12, **changes: Any) -> SearchResult:
    settings: dict[str, Any] = {"seed": 3, **changes}
    return search(Candidate, evaluate, SPACE, trials=trials, **settings)


def test_every_trial_lies_in_the_space_and_the_best_is_the_best() -> None:
    result = run()
    assert [trial.number for trial in result.trials] == list(range(12))
    for trial in result.trials:
        c = trial.config
        assert c["dynamic_layers"] in LAYERS
        assert isinstance(c["rank"], int)
        assert 1 <= c["rank"] <= 16
        assert 1 <= c["inner_steps"] <= 8
        assert 0.1 <= c["film_bound"] <= 1.0
        assert trial.score == evaluate(Candidate(c))
    assert result.best == max(result.trials, key=lambda trial: trial.score or -99).config


def test_the_same_seed_gives_the_same_trials_and_another_seed_others() -> None:
    assert run() == run()
    assert run(3).trials == run().trials[:3]
    assert run(3, seed=4).trials != run(3).trials


def test_it_learns_from_its_trials() -> None:
    scores = [trial.score or 0.0 for trial in run(40).trials]
    assert sum(scores[-10:]) / 10 > sum(scores[:10]) / 10 + 0.5


def test_a_stopped_search_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    count = itertools.count(1)

    def stop(model: EpisodicModel) -> float:
        if next(count) == 12:
            raise CancelledError("a person stopped")  # like a kill, in the middle of a trial
        return evaluate(model)

    with pytest.raises(CancelledError):
        search(Candidate, stop, SPACE, trials=15, seed=3, storage=tmp_path / "search.log")
    assert run(15, storage=tmp_path / "search.log") == run(15)
    with pytest.raises(ModelError, match="another space or seed"):
        run(15, seed=9, storage=tmp_path / "search.log")


def test_a_configuration_that_cannot_be_built_fails_alone() -> None:
    def build(config: Config) -> EpisodicModel:
        if config["rank"] > 4:
            raise ModelError("the rank is too high")
        return Candidate(config)

    result = search(build, evaluate, SPACE, trials=12, seed=3)
    failed = [trial for trial in result.trials if trial.config["rank"] > 4]
    assert failed
    assert all(trial.score is None and trial.reason == "the rank is too high" for trial in failed)
    assert result.best["rank"] <= 4
    with pytest.raises(ModelError, match="no configuration could be scored: its score was nan"):
        search(Candidate, lambda model: float("nan"), SPACE, trials=2)


def test_progress_is_told_and_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    run(2, progress=lambda fraction, message: told.append((fraction, message)))
    assert told == [(0.5, "Tried 1 of 2 configurations"), (1.0, "Tried 2 of 2 configurations")]
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ModelError, match=r"medmeta\[search\]"):
        run(1)
