"""Near-domain accuracy and adaptation time, both against fine-tuning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_ground import TINY, ground, train_sets
from tiny_network import task, tiny_backbone, tiny_extractor

from medmeta.errors import ModelError, TaskError
from medmeta.evaluation.few_shot import run_few_shot
from medmeta.learners.finetune import finetune
from medmeta.models import weights
from medmeta.tasks.held_out_classes import divide, held_out_classes
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.training.claims import adaptation, near_domain
from medmeta.training.claims.adaptation import Judged, Raced, fine_tune
from medmeta.training.claims.ground import first_of_each, shortened, task_of


def test_near_domain_measures_held_out_classes_alone(tmp_path: Path) -> None:
    here = ground(tmp_path)
    found = near_domain.measure(here)
    json.dumps(found.details)
    assert found.n == 3 * TINY.tuned_episodes
    held = [divide(data)[1] for data in train_sets()]
    tasks = [task_of(each) for each in held if each is not None]
    assert {name: row["classes"] for name, row in found.details.items()} == {
        each.name: list(each.classes) for each in tasks
    }
    tuned = run_few_shot(tasks, [finetune(tiny_extractor(), "conv3")], shots=2, queries=3, episodes=2, jobs=1)
    assert [row["finetune"] for row in found.details.values()] == pytest.approx(
        [100 * each.accuracy_mean for each in tuned.measured]
    )
    assert "the original trunk only" in found.how
    assert "fine-tuning from conv3 on (30 steps)" in found.how


def test_a_near_trunk_stands_beside_the_original(tmp_path: Path) -> None:
    sets = train_sets()
    network = tiny_backbone().network
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(1.1)
    card = {
        "trained_on": [data.name for data in sets],
        "left_out_classes": {data.name: list(held_out_classes(data)) for data in sets},
    }
    path = tmp_path / "near.safetensors"
    weights.write(path, network.state_dict(), card)
    here = ground(tmp_path, near_trunk=path)
    twin = near_domain.trunks(here)
    assert twin.blocks == 2 * here.extractor.blocks
    scans = sets[0].items[:2]
    found = twin.extract(scans)  # type: ignore[arg-type]
    half = found.shape[1] // 2
    assert torch.equal(found[:, :half], here.statistics["first"][:2])
    assert not torch.allclose(found[:, :half], found[:, half:])
    card["left_out_classes"] = {}
    weights.write(path, network.state_dict(), card)
    with pytest.raises(ModelError, match="was trained on classes of first that this row holds out"):
        near_domain.trunks(here)


def test_near_domain_needs_classes_to_hold_out(tmp_path: Path) -> None:
    def few() -> list[LabelledSet]:
        return [LabelledSet.from_task(task(("a", "b"), first=n), "d") for n in (0,)] * 2

    with pytest.raises(TaskError, match="at least 4 classes"):
        near_domain.measure(ground(tmp_path, read_train=few))


def test_fine_tuning_step_by_step_is_fine_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    support, query = task(shots=3), task(shots=4, first=50)
    tuner = finetune(tiny_extractor(), "conv1", steps=3)
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1.0
        return now

    real = adaptation._accuracy

    def slow(*arguments: object) -> float:
        nonlocal now
        now += 1000.0
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(adaptation, "_accuracy", slow)
    found = fine_tune(tuner, support, query, clock)
    answers = tuner.adapt(support).predict(query.scans).labels
    right = float(np.mean([a == b for a, b in zip(answers, query.labels, strict=True)]))
    assert found[-1] == Judged(3, 3.0, right)  # judging took thousands of seconds, and they do not count
    assert [(each.steps, each.seconds) for each in found] == [(1, 1.0), (2, 2.0), (3, 3.0)]
    longer = fine_tune(replace(tuner, steps=6), support, query)
    assert [each.steps for each in longer] == [1, 2, 3, 5, 6]


def raced(data: str, seconds: float, accuracy: float, *tuned: float) -> Raced:
    """Fine-tuning of two seconds a step, judged after the first and the second."""
    return Raced(data, seconds, accuracy, tuple(Judged(n, 2.0 * n, a) for n, a in enumerate(tuned, start=1)))


def test_the_ratio_by_hand() -> None:
    rows = [
        raced("a", 1.0, 0.9, 0.5, 1.0),  # at step 1 the mean is 0.7, at step 2 it is 0.9: ours
        raced("a", 1.0, 0.9, 0.9, 0.8),
        raced("b", 0.5, 0.9, 0.6, 0.7),
    ]
    found = adaptation.outcome(rows, 2)
    assert found.value == pytest.approx(4.0)
    assert not found.met
    assert found.reached.startswith(
        "4.0 times quicker (a: 4.0 times, 1.00 s against 4.0 s; b: at least 8.0 times"
    )
    never = adaptation.outcome(rows[2:], 2)
    assert never.met
    assert never.reached.startswith("at least 8.0 times")


def test_adaptation_on_tiny_tasks(tmp_path: Path) -> None:
    found = adaptation.measure(ground(tmp_path))
    rows = found.details["tasks"]
    assert [row["data"] for row in rows] == ["lung", "lung", "chest", "chest"]
    for row in rows:
        assert row["seconds"] > 0
        assert row["tuned"][-1]["steps"] == TINY.budget
    assert found.value == min(each["value"] for each in found.details["ratios"].values())


def test_shortened_sets_keep_whole_groups() -> None:
    assert first_of_each([0, 0, 1, 0, 1], ["p", "q", "r", "q", "p"], 2) == [0, 1, 2, 3, 4]
    assert first_of_each([0, 0, 1, 0, 1], ["p", "q", "r", "q", "s"], 1) == [0, 2]
    data = train_sets(("one",))[0]
    assert shortened(data, None) is data
    few = shortened(data, 3)
    assert np.bincount(few.targets).tolist() == [3, 3, 3, 3]
    assert few.items[3] is data.items[8]
