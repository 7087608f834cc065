"""Folds and episodes: everything predicted once, no patient ever on both sides."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from medmeta.errors import TaskError
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.episodes import draw_episodes
from medmeta.tasks.splits import leave_one_group_out
from medmeta.tasks.task import Task, make_task


@pytest.mark.parametrize("max_folds", [None, 5, 40])
def test_each_scan_is_left_out_once_and_no_group_is_divided(max_folds: int | None) -> None:
    random = np.random.default_rng(1)
    groups = [f"p{g}" for g in random.integers(0, 30, 80)]
    targets = [int(t) for t in random.integers(0, 3, 80)]
    folds = leave_one_group_out(groups, targets, max_folds)
    assert sorted(i for fold in folds for i in fold.test) == list(range(80))
    for fold in folds:
        assert sorted(fold.train + fold.test) == list(range(80))
        assert not {groups[i] for i in fold.train} & {groups[i] for i in fold.test}
    assert len(folds) == (5 if max_folds == 5 else len(set(groups)))


def test_leaving_out_one_by_one_by_hand() -> None:
    folds = leave_one_group_out(["a", "b", "a", "c"], [0, 1, 0, 1])
    assert [(fold.train, fold.test) for fold in folds] == [
        ((1, 3), (0, 2)),
        ((0, 2, 3), (1,)),
        ((0, 1, 2), (3,)),
    ]


def test_shared_folds_spread_the_classes() -> None:
    groups = [str(i) for i in range(60)]
    targets = [0] * 40 + [1] * 20
    for fold in leave_one_group_out(groups, targets, 10):
        assert Counter(targets[i] for i in fold.test) == {0: 4, 1: 2}


def data_set(per_class: int = 12) -> Task:
    return make_task(
        LabelledScan(Scan(f"{c}{i}", np.array([[[c, i]]], np.uint8), f"{c}-{i // 2}"), "ab"[c])
        for c in range(2)
        for i in range(per_class)
    )


def test_episodes_keep_patients_apart_and_repeat() -> None:
    task = data_set()
    first = list(draw_episodes(task, shots=3, queries=4, episodes=20, seed=5))
    assert first == list(draw_episodes(task, shots=3, queries=4, episodes=20, seed=5))
    assert first != list(draw_episodes(task, shots=3, queries=4, episodes=20, seed=6))
    for episode in first:
        support_groups = [task.groups[i] for i in episode.support]
        assert len(set(support_groups)) == 6  # as many patients as shots
        assert not set(support_groups) & {task.groups[i] for i in episode.query}
        assert Counter(task.labels[i] for i in episode.support) == {"a": 3, "b": 3}
        assert Counter(task.labels[i] for i in episode.query) == {"a": 4, "b": 4}


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(TaskError, match="has 6 patients, but 6 shots and a query need at least 7"):
        list(draw_episodes(data_set(), shots=6, queries=1, episodes=1, seed=0))
