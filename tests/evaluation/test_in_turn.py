"""Several supports at a time come out in order, and as one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from medmeta.errors import CancelledError
from medmeta.evaluation.in_turn import TOGETHER, InTurn
from medmeta.evaluation.left_out import leave_out
from medmeta.learners.base import TaskModel
from medmeta.learners.registry import load_extractor, make_learner
from medmeta.progress import Progress, silent
from medmeta.tasks.splits import leave_one_group_out
from medmeta.tasks.task import Task

ROWS = [("a", f"A{i}", 10 + i) for i in range(6)] + [("b", f"B{i}", 90 + 9 * i) for i in range(5)]


@dataclass
class Many:
    """Adapts to any number of supports at once, by another learner, and remembers how many they were."""

    one: Any
    name: str = "many"
    counts: list[int] = field(default_factory=list)

    def adapt(self, support: Task, *, progress: Progress = silent) -> TaskModel:
        raise AssertionError("it can do several at a time")

    def adapt_all(self, supports: Sequence[Task], *, progress: Progress = silent) -> list[TaskModel]:
        self.counts.append(len(supports))
        progress(0.5, "all of them")
        return [self.one.adapt(support) for support in supports]


def test_supports_come_in_order_some_at_a_time(make: Any, learner: Any) -> None:
    task = make(ROWS)
    supports = [task.subset([i for i in range(11) if i != out % 11]) for out in range(TOGETHER + 3)]
    many = Many(learner)
    models = InTurn(many, supports)
    for support in supports:
        assert models.next().members == learner.adapt(support).members  # type: ignore[attr-defined]
    assert many.counts == [TOGETHER, 3]


def test_large_supports_are_taken_one_by_one(make: Any, learner: Any) -> None:
    task = make([("ab"[i % 2], f"P{i}", i % 200) for i in range(600)])
    many = Many(learner)
    models = InTurn(many, [task, task])
    models.next(), models.next()
    assert many.counts == [1, 1]


def test_a_learner_of_one_support_at_a_time_is_told_how_far_it_is(make: Any, learner: Any) -> None:
    said: list[str] = []
    InTurn(learner, [make(ROWS)]).next(lambda _, message: said.append(message))
    assert said == ["inner sentence"]


@pytest.mark.parametrize("several", [True, False])
def test_it_can_be_cancelled(make: Any, learner: Any, several: bool) -> None:
    def stop(_: float, message: str) -> None:
        raise CancelledError(message)

    with pytest.raises(CancelledError):
        InTurn(Many(learner) if several else learner, [make(ROWS)]).next(stop)


def test_patients_left_out_are_answered_as_by_a_model_of_their_own(make: Any) -> None:
    """The shipped model, adapted to all folds at once, against one fold at a time."""
    task, shipped = make(ROWS), make_learner("medmeta", load_extractor("cpu"))

    @dataclass
    class Alone:
        name: str = "medmeta"

        def adapt(self, support: Task, *, progress: Progress = silent) -> TaskModel:
            return shipped.adapt(support, progress=progress)

    folds = leave_one_group_out(task.groups, task.targets)
    together, apart = leave_out([shipped, Alone()], task, folds, silent)
    for one, other in zip(together, apart, strict=True):
        assert (one.predicted, one.abstained, one.nearest) == (
            other.predicted,
            other.abstained,
            other.nearest,
        )
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-9)
