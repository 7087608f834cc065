"""Taking in new tasks: what is kept, what is refused, and that the pull pulls."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toy_model import ToyModel, toy_tasks

from medmeta.errors import CancelledError, TaskError
from medmeta.tasks.meta_task import FeatureTask
from medmeta.training.continual import ContinualReport, continue_training
from medmeta.training.outer import measure, run_episode

OLD = toy_tasks(8)


def foreign(count: int) -> list[FeatureTask]:
    """Tasks whose classes stand in the features that are noise in the old ones."""
    return [
        FeatureTask(
            **{**vars(task), "support": task.support.flip(1), "query": task.query.flip(1), "source": "new"}
        )
        for task in toy_tasks(count, name="z", seed=5)
    ]


NEW = foreign(4)


def run(model: ToyModel, **changes: Any) -> ContinualReport:
    settings: dict[str, Any] = {
        "steps": 12,
        "tasks_per_step": 2,
        "meta_lr": 0.06,
        "pull": 0.0,
        "device": "cpu",
        **changes,
    }
    return continue_training(model, NEW, OLD, **settings)


def deployed() -> ToyModel:
    """Sees the old tasks' informative features alone."""
    model = ToyModel()
    model.embed.data[:] = 0
    model.embed.data[:3] = torch.eye(3)
    return model


def test_new_tasks_are_learned_and_what_is_reported_is_what_was_measured() -> None:
    model = deployed()
    before = measure(model, OLD[1::2], 0).accuracy
    report = run(model, limit=1.0)
    assert report.accepted
    assert report.new_after > report.new_before + 0.05
    assert report.old_before == before
    assert report.old_after == measure(model, OLD[1::2], 0).accuracy
    assert report.new_after == measure(model, NEW, 0).accuracy
    assert "taken over" in report.reason


def test_an_update_that_forgets_is_refused_and_changes_nothing() -> None:
    model = deployed()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    report = run(model, limit=-1.0)  # nothing can rise by 100 points
    assert not report.accepted
    assert "deployed model stays" in report.reason
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert model.training == deployed().training


def test_without_rehearsal_of_the_old_more_is_forgotten() -> None:
    rehearsing, forgetting = deployed(), deployed()
    kept = run(rehearsing, steps=24, limit=1.0)
    lost = continue_training(
        forgetting,
        NEW,
        [NEW[0], OLD[1]],
        steps=24,
        tasks_per_step=2,
        meta_lr=0.06,
        pull=0.0,
        limit=1.0,
        device="cpu",
    )
    assert lost.accepted
    assert measure(forgetting, OLD[1::2], 0).loss > measure(rehearsing, OLD[1::2], 0).loss
    assert kept.old_before == measure(deployed(), OLD[1::2], 0).accuracy


@pytest.mark.parametrize("elastic", [False, True])
def test_a_stronger_pull_keeps_the_weights_nearer(elastic: bool) -> None:
    moved = []
    for pull in (0.0, 1.0, 100.0):
        model = deployed()
        run(model, pull=pull, elastic=elastic, limit=1.0)
        moved.append(float((model.embed - deployed().embed).detach().norm()))
    assert moved[0] > moved[1] > moved[2]


def test_the_elastic_pull_spares_what_old_tasks_do_not_use() -> None:
    model = deployed()
    squares = torch.zeros_like(model.embed)
    for task in OLD[::2]:
        (slope,) = torch.autograd.grad(run_episode(model.eval(), task, 0).query_loss, model.embed)
        squares += slope.square()
    important = squares > squares.median()
    drift = []
    for elastic in (False, True):
        model = deployed()
        run(model, pull=3.0, elastic=elastic, limit=1.0)
        change = (model.embed - deployed().embed).detach().abs()
        drift.append(float(change[important].mean() / change[~important].mean()))
    assert drift[1] < drift[0]


def test_the_same_seed_gives_the_same_model_and_too_few_tasks_are_refused() -> None:
    first, second = deployed(), deployed()
    assert run(first, limit=1.0) == run(second, limit=1.0)
    assert torch.equal(first.embed, second.embed)
    with pytest.raises(TaskError, match="found 4 and 1"):
        continue_training(first, NEW, OLD[:1], device="cpu")


def test_stopping_by_hand_leaves_the_model_as_it_was() -> None:
    def stop(fraction: float, message: str) -> None:
        raise CancelledError("stopped")

    model = deployed()
    with pytest.raises(CancelledError):
        run(model, progress=stop)
    assert torch.equal(model.embed, deployed().embed)
