"""Kept answers: found again, added to, and never mistaken for another run's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from test_few_shot import TASKS, Planted

from medmeta.errors import MedMetaError
from medmeta.evaluation.few_shot import run_few_shot
from medmeta.evaluation.few_shot_result import FewShotResult
from medmeta.evaluation.kept import Answer, Kept
from medmeta.learners.base import Learner, TaskModel
from medmeta.learners.registry import make_learner
from medmeta.progress import Progress, silent
from medmeta.tasks.task import Task

SETTINGS = {"shots": 2, "queries": 5, "seed": 3}


@dataclass
class Counted:
    """A learner that counts, and may break down."""

    inner: Learner
    breaks_after: int = 1000
    calls: int = 0
    name: str = field(default="ridge")

    def adapt(self, support: Task, *, progress: Progress = silent) -> TaskModel:
        if self.calls == self.breaks_after:
            raise MedMetaError("out of power")
        self.calls += 1
        return self.inner.adapt(support, progress=progress)


def counted(breaks_after: int = 1000) -> Counted:
    return Counted(make_learner("ridge", Planted()), breaks_after)  # type: ignore[arg-type]


def measure(learner: Learner, keep: Kept | None, episodes: int = 6) -> FewShotResult:
    return run_few_shot(TASKS, [learner], shots=2, queries=5, episodes=episodes, seed=3, jobs=1, keep=keep)


def right(result: FewShotResult) -> list[list[list[bool]]]:
    return [measured.right.tolist() for measured in result.measured]


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    keep, fresh = Kept(tmp_path / "kept", SETTINGS), measure(counted(), None)
    with pytest.raises(MedMetaError, match="out of power"):
        measure(counted(breaks_after=8), keep)
    rest = counted()
    result = measure(rest, keep)
    assert rest.calls == 12 - 8
    assert right(result) == right(fresh)
    idle = Planted()
    again = measure(Counted(make_learner("ridge", idle), breaks_after=0), keep)  # type: ignore[arg-type]
    assert idle.looked == 0  # nothing is left to do
    assert right(again) == right(fresh)
    for first, second in zip(result.measured, again.measured, strict=True):
        np.testing.assert_array_equal(first.seconds_adapt, second.seconds_adapt)
        np.testing.assert_array_equal(first.seconds_predict, second.seconds_predict)


def test_a_longer_run_adds_to_a_shorter_one(tmp_path: Path) -> None:
    keep = Kept(tmp_path, SETTINGS)
    measure(counted(), keep, episodes=2)
    more = counted()
    assert right(measure(more, keep)) == right(measure(counted(), None))
    assert more.calls == 2 * (6 - 2)
    assert measure(counted(breaks_after=0), keep, episodes=3).measured[0].right.shape[0] == 3


def test_a_line_cut_short_is_measured_again(tmp_path: Path) -> None:
    keep = Kept(tmp_path, SETTINGS)
    whole = measure(counted(), keep)
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:-30])
    again = counted()
    assert right(measure(again, keep)) == right(whole)
    assert again.calls == len(TASKS)
    assert right(measure(counted(breaks_after=0), keep)) == right(whole)


@pytest.mark.parametrize(
    "other",
    [
        Kept(Path(), SETTINGS | {"seed": 4}),
        Kept(Path(), SETTINGS, {"ridge": "other weights"}),
    ],
)
def test_what_another_run_kept_is_not_taken(other: Kept, tmp_path: Path) -> None:
    answer: Mapping[int, Answer] = {0: Answer((True,), 1.0, 2.0)}
    Kept(tmp_path, SETTINGS).add(TASKS[0], "ridge", answer)
    assert Kept(tmp_path, SETTINGS).read(TASKS[0], "ridge") == answer
    assert replace(other, folder=tmp_path).read(TASKS[0], "ridge") == {}
    assert Kept(tmp_path, SETTINGS).read(TASKS[0], "lda") == {}
    assert Kept(tmp_path, SETTINGS).read(TASKS[1], "ridge") == {}


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no folder")
    with pytest.raises(MedMetaError, match="kept cannot be read"):
        Kept(tmp_path / "kept", SETTINGS).read(TASKS[0], "ridge")
