"""The planted label is wrong in one place only, and its rank is counted honestly."""

from __future__ import annotations

import numpy as np
from tiny_network import task, tiny_extractor

from benchmarks import suspects
from medmeta.learners.prototypes import prototypes
from medmeta.learners.ridge import ridge


def test_ten_scans_of_ten_patients_with_one_label_turned() -> None:
    whole = task(("a", "b", "c"), shots=8)
    truth = {scan.id: label for scan, label in zip(whole.scans, whole.labels, strict=True)}
    for seed in range(10):
        planted = suspects.plant(whole, np.random.default_rng(seed))
        wrong = [i for i, scan in enumerate(planted.task.scans) if truth[scan.id] != planted.task.labels[i]]
        assert wrong == [planted.position]
        assert len(planted.task.scans) == len(set(planted.task.groups)) == 10
        assert len(planted.task.classes) == 2


def test_equals_count_against_the_wrong_label() -> None:
    assert suspects.rank(np.array([0.1, 0.5, 0.5, 0.2]), 1) == 2
    assert suspects.rank(np.array([0.1, 0.5, 0.4, 0.2]), 1) == 1
    assert suspects.rank(np.zeros(10), 3) == 10


def test_colours_give_the_wrong_label_away() -> None:
    extractor = tiny_extractor()
    learners = [prototypes(extractor), ridge(extractor)]
    whole = task(("a", "b", "c"), shots=8)
    places = [
        suspects.trial(suspects.plant(whole, np.random.default_rng(seed)), learners) for seed in range(10)
    ]
    assert set(places[0]) == {"prototypes, relabelled", "prototypes, named", "prototypes", "ridge"}
    assert sum(place["prototypes, relabelled"] <= 3 for place in places) >= 8
    assert sum(place["ridge"] <= 3 for place in places) >= 8
    text = suspects.table({"one": places[:5], "two": places[5:]})
    assert text.count("of 5 (") == 8
    assert "| all |" in text


def test_right_labels_of_plain_colours_are_hardly_named() -> None:
    learner = prototypes(tiny_extractor())
    whole = task(("a", "b", "c"), shots=8)
    drawn = [suspects.plant(whole, np.random.default_rng(seed)) for seed in range(5)]
    assert sum(suspects.named_without_cause(planted, learner) for planted in drawn) <= 5
