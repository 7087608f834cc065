"""Draws by brute force: sizes are right, no group is shared, chance is even."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from medmeta.errors import TaskError
from medmeta.tasks.draws import SetIndex
from medmeta.tasks.labelled_set import LabelledSet


def texts(name: str, targets: list[int], groups: list[str], domain: str = "d") -> LabelledSet:
    classes = tuple(f"c{i}" for i in range(max(targets) + 1))
    items = [f"{name} {i}" for i in range(len(targets))]
    return LabelledSet(name, domain, classes, np.array(targets, np.int64), tuple(groups), items)


def mixed(seed: int) -> LabelledSet:
    """Three classes whose patients may have items of all of them."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, 60).tolist()
    return texts("mixed", targets, [f"p{random.integers(15)}" for _ in targets])


def test_no_group_is_shared_and_sizes_hold_in_many_draws() -> None:
    for seed in range(10):
        data = mixed(seed)
        index = SetIndex(data)
        for draw in range(60):
            task = index.draw([3, 2], 4, np.random.default_rng((seed, draw)))
            assert not {data.groups[i] for i in task.support} & {data.groups[i] for i in task.query}
            for positions, targets in (
                (task.support, task.support_targets),
                (task.query, task.query_targets),
            ):
                named = [data.classes[data.targets[i]] for i in positions]
                assert named == [task.classes[t] for t in targets]
                assert len(set(positions)) == len(positions)
            assert Counter(task.support_targets) == {0: 3, 1: 2}
            queries = Counter(task.query_targets)
            assert len(queries) == 2
            assert len(set(queries.values())) == 1
            assert 1 <= queries[0] <= 4
            for way in (0, 1):  # shots of different patients
                of_way = [i for i, t in zip(task.support, task.support_targets, strict=True) if t == way]
                assert len({data.groups[i] for i in of_way}) == len(of_way)


def test_every_way_and_every_patient_is_equally_likely() -> None:
    # Patient "big" has nine of twelve items of c0, but is one of four patients.
    targets = [0] * 12 + [1] * 4 + [2] * 4
    groups = ["big"] * 9 + ["x", "y", "z"] + [f"b{i}" for i in range(4)] + [f"c{i}" for i in range(4)]
    data = texts("s", targets, groups)
    index = SetIndex(data)
    draws = 3000
    random = np.random.default_rng(0)
    order: Counter[tuple[str, ...]] = Counter()
    patient: Counter[str] = Counter()
    for _ in range(draws):
        task = index.draw([1, 1], 1, random)
        order[task.classes] += 1
        patient.update(data.groups[i] for i in task.support if data.targets[i] == 0)
    assert len(order) == 6
    sigma = (draws * (1 / 6) * (5 / 6)) ** 0.5
    assert max(abs(count - draws / 6) for count in order.values()) < 5 * sigma
    total = sum(patient.values())
    assert max(abs(patient[p] - total / 4) for p in ("big", "x", "y", "z")) < 5 * (total * 3 / 16) ** 0.5


def test_too_few_groups_are_named() -> None:
    index = SetIndex(texts("s", [0, 0, 0, 1, 1, 1], ["a", "a", "b", "c", "d", "e"]))
    index.check(1)
    with pytest.raises(TaskError, match=r"s: class c0 has 2 groups.*2 shots and a query need at least 3"):
        index.check(2)


def test_a_class_without_any_item_is_named() -> None:
    data = LabelledSet("s", "d", ("a", "b", "c"), np.array([0, 0, 1, 1]), ("p", "q", "r", "s"), list("wxyz"))
    with pytest.raises(TaskError, match="class c has 0 groups"):
        SetIndex(data).check(1)


def test_patients_of_all_classes_that_leave_no_query_are_told() -> None:
    # Two shots of each class take both patients.
    data = texts("s", [0, 1, 0, 1], ["p", "p", "q", "q"])
    with pytest.raises(TaskError, match="hold several classes each"):
        SetIndex(data).draw([2, 2], 1, np.random.default_rng(0))
    # With one shot both must come from one patient, which repeated draws find.
    task = SetIndex(data).draw([1, 1], 1, np.random.default_rng(0))
    assert len({data.groups[i] for i in task.support}) == 1
