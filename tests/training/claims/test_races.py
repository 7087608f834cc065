"""The rows that train: convergence, sampler, search, on tiny data."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tiny_ground import TINY, ground, train_sets

from medmeta.errors import TaskError
from medmeta.training.claims import architecture, convergence, sampler
from medmeta.training.claims.curves import Race
from medmeta.training.recipe import Recipe
from medmeta.training.search import Choice


@pytest.fixture
def gaining(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny trainings may gain nothing; what is tested here is the rest."""
    monkeypatch.setattr(Race, "gained", True)


@pytest.mark.usefixtures("gaining")
def test_convergence_counts_our_start_and_leaves_a_set_out(tmp_path: Path) -> None:
    here = ground(tmp_path)
    found = convergence.measure(here)
    json.dumps(found.details, allow_nan=False)
    (name,) = found.details
    row = found.details[name]
    assert (name, found.n) == ("first", 1)
    assert row["reference"] > 0
    histories: dict[str, list[dict[str, Any]]] = {
        who: [
            json.loads(line)
            for line in (here.trainings / f"convergence-{who}-first" / "history.jsonl")
            .read_text()
            .splitlines()
        ]
        for who in ("maml", "ours")
    }
    assert row["goal_accuracy"] == max(each["validation_accuracy"] for each in histories["maml"])
    assert row["reference"] == histories["maml"][0]["seconds"]
    if row["challenger"] is not None:
        assert row["share"] == pytest.approx(row["challenger"] / row["reference"])
    assert len(histories["ours"]) == TINY.our_epochs
    assert [each["step"] for each in histories["maml"]] == [1]


@pytest.mark.usefixtures("gaining")
def test_sampler_races_every_seed_and_never_counts_the_start(tmp_path: Path) -> None:
    found = sampler.measure(ground(tmp_path))
    assert list(found.details) == ["first, seed 0", "first, seed 1"]
    for row in found.details.values():
        assert row["start_accuracies"][0] == row["start_accuracies"][1]
        assert row["challenger"] is None or row["challenger"] > 0


@pytest.mark.usefixtures("gaining")
def test_search_chooses_on_one_set_and_judges_on_another(tmp_path: Path) -> None:
    space = {
        "generation": Choice((True, False)),
        "metric": Choice((True,)),
        "steps": Choice((0, 2)),
        "bound": Choice((0.5,)),
        "rank": Choice((3,)),
    }
    found = architecture.measure(ground(tmp_path), space)
    json.dumps(found.details, allow_nan=False)
    assert found.details["races"]["second"]["reference"] in (1.0, 2.0)  # one batch an epoch, two epochs
    searches = found.details["searches"]["second"]
    assert searches["chosen_by"] == "first"
    scores = [row["score"] for row in searches["trials"]]
    assert len(scores) == TINY.trials
    assert searches["found"] == searches["trials"][scores.index(max(scores))]["config"]
    with pytest.raises(TaskError, match="found 2 meta-train sets"):
        architecture.measure(ground(tmp_path, read_train=lambda: train_sets(("a", "b"))))


def test_a_configuration_takes_its_place_in_the_recipe() -> None:
    config = {"generation": False, "metric": True, "steps": 4, "bound": 0.25, "rank": 16}
    found = architecture.searched(Recipe(), config)
    assert (found.bound, found.rank) == (0.25, 16)
    assert found.parts == replace(Recipe().parts, generation=False, metric=True, steps=4)
    assert set(config) == set(architecture.SPACE)
    assert {key: value for key, value in asdict(found).items() if key not in {"bound", "rank", "parts"}} == {
        key: value for key, value in asdict(Recipe()).items() if key not in {"bound", "rank", "parts"}
    }


def test_one_set_cannot_be_left_out(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="at least 2 meta-train sets"):
        convergence.measure(ground(tmp_path, read_train=lambda: train_sets(("only",))))
