"""Divisions never divide a patient, keep the classes even, and what is counted over them is counted right."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import pytest

from medmeta.errors import CancelledError
from medmeta.evaluation.intervals import clopper_pearson
from medmeta.evaluation.repeated_folds import divide, repeated_folds, why_no_repeats

ROWS = [
    *[("a", f"A{i // 2}", 10 + i % 3) for i in range(12)],
    *[("b", f"B{i}", 30 + i % 3) for i in range(9)],
]


def test_every_patient_is_tested_once_and_never_divided(make: Any) -> None:
    task = make(ROWS)
    for seed in range(20):
        folds = divide(task, 5, seed)
        assert sorted(i for fold in folds for i in fold.test) == list(range(len(task.scans)))
        for fold in folds:
            assert sorted(fold.train + fold.test) == list(range(len(task.scans)))
            assert not {task.groups[i] for i in fold.train} & {task.groups[i] for i in fold.test}
            # Six and nine patients over five folds: one or two of each class in every fold, so all can be learned.
            assert {task.labels[i] for i in fold.train} == {"a", "b"}
        tested = [
            Counter(label for label, _ in {(task.labels[i], task.groups[i]) for i in f.test}) for f in folds
        ]
        assert all(1 <= counts["b"] <= 3 for counts in tested)
    assert divide(task, 5, 0) != divide(task, 5, 1)
    assert divide(task, 5, 0) == divide(task, 5, 0)


def test_what_is_always_right_and_never_right(make: Any, learner: Any) -> None:
    # One patient of "a" looks like "b" whoever is learned from.
    found = repeated_folds(learner, make([*ROWS, ("a", "odd", 31)]), seed=3)
    assert found is not None
    n = len({group for _, group, _ in ROWS}) + 1
    assert found.right == (n - 1,) * 10
    assert found.share == pytest.approx((n - 1) / n)
    limits = clopper_pearson(n - 1, n)
    assert (found.interval.low, found.interval.high) == pytest.approx((limits.low, limits.high))
    assert {(each.group, each.right) for each in found.patients if each.right < 10} == {("odd", 0)}
    assert found.patients[-1].group == "odd"
    assert found.patients[-1].label == "a"
    # Scans: 12 of 13 of "a" and all of "b".
    assert found.balanced_accuracy == pytest.approx((12 / 13 + 1) / 2)


def test_a_patient_in_between_depends_on_whom_was_learned_from(make: Any, learner: Any) -> None:
    # The means are 10 to 12 and 30 to 32, so 21 lies on one side or the other as the drawn patients have it.
    found = repeated_folds(learner, make([*ROWS, ("b", "between", 21)]), seed=0)
    assert found is not None
    counts = {each.group: each.right for each in found.patients}
    others = {group: count for group, count in counts.items() if group != "between"}
    assert set(others.values()) == {10}
    assert 0 < counts["between"] < 10
    assert sum(found.right) == sum(counts.values())
    assert max(found.right) - min(found.right) == 1
    assert found == repeated_folds(learner, make([*ROWS, ("b", "between", 21)]), seed=0)


def test_the_model_never_learned_from_the_patient_it_reads(make: Any, learner: Any) -> None:
    task = make(ROWS)
    assert repeated_folds(learner, task) is not None
    patients = len(set(task.groups))
    left = Counter(group for seen in learner.seen for group in set(task.groups) - set(seen.groups))
    assert set(left.values()) == {10}
    assert len(left) == patients
    assert len(learner.seen) == 50


def test_names_of_patients_decide_nothing(make: Any, learner: Any) -> None:
    rows = [*ROWS, ("b", "between", 21)]
    renamed = [(label, hash_of(group), value) for label, group, value in rows]
    one, other = repeated_folds(learner, make(rows)), repeated_folds(learner, make(renamed))
    assert one is not None
    assert other is not None
    assert [hash_of(each.group) for each in one.patients] == [each.group for each in other.patients]
    assert (one.right, one.share, one.balanced_accuracy) == (
        other.right,
        other.share,
        other.balanced_accuracy,
    )


def hash_of(name: str) -> str:
    """Another name, in another order than the first."""
    return hashlib.sha256(name.encode()).hexdigest()


def test_too_few_patients_say_how_many_are_needed(make: Any, learner: Any) -> None:
    assert repeated_folds(learner, make([*ROWS, ("c", "C1", 50), ("c", "C2", 51)])) is None
    assert why_no_repeats([6, 2]) == "needs 3 patients of each class, found 2 of one"
    few = repeated_folds(learner, make([*ROWS, *[("c", f"C{i}", 50 + i) for i in range(3)]]))
    assert few is not None
    assert few.folds == 3


def test_many_scans_are_divided_less_often_and_it_can_be_stopped(make: Any, learner: Any) -> None:
    many = make([(label, f"{label}{i}", 10 + 20 * (label == "b")) for label in "ab" for i in range(250)])
    found = repeated_folds(learner, many)
    assert found is not None
    assert len(found.right) == 3

    def stop(fraction: float, _: str) -> None:
        if fraction > 0.3:
            raise CancelledError

    with pytest.raises(CancelledError):
        repeated_folds(learner, make(ROWS), progress=stop)


def test_progress_rises_and_names_the_division(make: Any, learner: Any) -> None:
    told: list[tuple[float, str]] = []
    repeated_folds(learner, make(ROWS), progress=lambda fraction, text: told.append((fraction, text)))
    shares = [fraction for fraction, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert told[-1][1] == "Dividing the patients anew: 10 of 10"
