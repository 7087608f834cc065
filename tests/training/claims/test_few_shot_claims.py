"""Accuracies on the test sets: measured once, taken over from `bench few-shot`, and never from other episodes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_ground import TINY, ground, make, sets_to_test

from medmeta.evaluation.few_shot import run_few_shot
from medmeta.evaluation.provenance import task_hash
from medmeta.models.features import READING
from medmeta.training.claims import lung, over_maml
from medmeta.training.claims.few_shot import few_shot, weights_of


def document(learners: dict[str, list[float]], **settings: Any) -> dict[str, Any]:
    """As `bench few-shot` writes it, on the second data set always 0.5."""
    return {
        "settings": {
            "shots": [1, 2],
            "ways": "all",
            "queries": 3,
            "seed": 0,
            "backbone_sha256": "1" * 64,
            "reading": READING,
            "weights": {name: weights_of(name) for name in learners},
            **settings,
        },
        "results": [
            {
                "data": data,
                "shots": shots,
                "learner": name,
                "per_episode": values if data == "lung" else [0.5] * 4,
            }
            for data in ("lung", "chest")
            for shots in (1, 2)
            for name, values in learners.items()
        ],
        "data_sets": [{"data": task.name, "sha256": task_hash(task)} for task in sets_to_test()],
    }


def test_difference_is_that_of_one_run_with_both(tmp_path: Path) -> None:
    here = ground(tmp_path)
    found = over_maml.measure(here)
    both = run_few_shot(
        sets_to_test(),
        [make(n, here.extractor) for n in ("medmeta", "maml")],
        shots=2,
        queries=3,
        episodes=3,
        jobs=1,
    )
    overall = both.paired_all()[0]
    assert found.value == pytest.approx(100 * overall.difference)
    assert found.interval is not None
    assert overall.ci95_bootstrap is not None
    assert found.interval.low == pytest.approx(100 * overall.ci95_bootstrap.low)
    assert (found.n, found.met) == (6, found.value is not None and found.value >= 8.2)


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    first = few_shot(ground(tmp_path), "medmeta")
    refuses = ground(tmp_path, make=lambda *_: pytest.fail("measured twice"))
    again = few_shot(refuses, "medmeta")
    assert all(np.array_equal(first[name], again[name]) for name in ("lung", "chest"))


def test_bench_few_shot_is_taken_over_by_hand(tmp_path: Path) -> None:
    learners = {"medmeta": [1.0, 0.9, 0.8, 0.0], "maml": [0.7, 0.7, 0.7, 0.0]}
    (tmp_path / "bench.json").write_text(json.dumps(document(learners)))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text("[1]")
    here = ground(tmp_path, make=lambda *_: pytest.fail("measured"))
    found = over_maml.measure(here)
    # First three episodes: 20 points on lung, none on chest.
    assert found.value == pytest.approx(10.0)
    assert found.met
    assert found.reached == "+10.0 points"
    rows = lung.measure(here)
    assert rows.value == pytest.approx(90.0)
    assert rows.interval is not None
    assert rows.interval.high - 90.0 == pytest.approx(1.96 * 10 / 3**0.5)
    assert "lc25000_lung was not among" in rows.how
    assert not rows.met


@pytest.mark.parametrize(
    "other",
    [
        {"queries": 15},
        {"seed": 1},
        {"ways": 2},
        {"shots": [1]},
        {"weights": {"medmeta": "other"}},
        {"backbone_sha256": "2"},
        {"reading": READING - 1},
    ],
)
def test_another_run_is_not_taken_over(tmp_path: Path, other: dict[str, Any]) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(document({"medmeta": [1.0] * 3}, **other)))
    with pytest.raises(pytest.fail.Exception, match="measured"):
        few_shot(ground(tmp_path, make=lambda *_: pytest.fail("measured")), "medmeta")


def test_other_data_or_fewer_episodes_are_not_taken_over(tmp_path: Path) -> None:
    stale = document({"medmeta": [1.0] * 3})
    stale["data_sets"][1]["sha256"] = "0"
    (tmp_path / "bench.json").write_text(json.dumps(stale))
    few = ground(tmp_path / "few", sizes=replace(TINY, episodes=5), make=lambda *_: pytest.fail("measured"))
    few.out.mkdir()
    (few.out / "bench.json").write_text(json.dumps(document({"medmeta": [1.0] * 4})))
    for here in (ground(tmp_path, make=lambda *_: pytest.fail("measured")), few):
        with pytest.raises(pytest.fail.Exception, match="measured"):
            few_shot(here, "medmeta")


def test_weights_are_told_apart(tmp_path: Path) -> None:
    assert weights_of("medmeta", tmp_path) == ""
    (tmp_path / "medmeta.json").write_text('{"sha256": "aa"}')
    (tmp_path / "medical_lite0.json").write_text('{"sha256": "bb"}')
    assert weights_of("medmeta", tmp_path) == "aa bb"
    assert weights_of("maml", tmp_path) == ""
