"""The outer loop's steps: means, gradients, clipping, AdamW, mixed precision and recomputation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_model import SIZE, ToyModel, toy_tasks

from medmeta.errors import ModelError, TaskError
from medmeta.models.episodic import EpisodeResult, EpisodicModel
from medmeta.tasks.meta_task import FeatureTask
from medmeta.training.mixing import Mixing
from medmeta.training.outer import measure, run_episode, seed_of
from medmeta.training.trainer import MetaTrainer


def trainer(model: EpisodicModel | None = None, **changes: Any) -> MetaTrainer:
    return MetaTrainer(model or ToyModel(), 2, inner_lr=0.1, **{"clip": 1e9, "device": "cpu", **changes})


class Quadratic(EpisodicModel):
    """Query loss ``|w - mean of the query|^2``: its gradient is ``2 (w - mean)``."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(SIZE))

    def episode(self, task: FeatureTask, generator: torch.Generator) -> EpisodeResult:
        loss = (self.w - task.query.mean(dim=0)).square().sum()
        return EpisodeResult(loss.detach() / 2, loss, torch.zeros(len(task.query), task.ways))


def test_the_meta_gradient_is_the_mean_over_tasks_in_closed_form() -> None:
    tasks = toy_tasks(5)
    ours = trainer(Quadratic())
    support_loss, query_loss = ours.prepare_meta_update(tasks)
    means = torch.stack([task.query.mean(dim=0) for task in tasks])
    expected = means.square().sum(dim=1)
    assert query_loss.item() == pytest.approx(expected.mean().item(), rel=1e-6)
    assert support_loss.item() == pytest.approx(expected.mean().item() / 2, rel=1e-6)
    gradient = ours.compute_meta_gradient(query_loss)
    torch.testing.assert_close(gradient["w"], -2 * means.mean(dim=0))
    assert ours.outcome is not None
    torch.testing.assert_close(ours.outcome.query_loss, expected.double())


def test_the_gradient_through_an_inner_loop_agrees_with_finite_differences() -> None:
    tasks = toy_tasks(3)
    ours = trainer()
    _, loss = ours.prepare_meta_update(tasks)
    gradient = ours.compute_meta_gradient(loss)
    assert torch.equal(gradient["unused"], torch.zeros(2, dtype=torch.float64))

    double = ToyModel().double()
    exact = [
        FeatureTask(**{**vars(task), "support": task.support.double(), "query": task.query.double()})
        for task in tasks
    ]

    def value(embed: Tensor) -> float:
        double.embed.data = embed
        losses = []
        for position, task in enumerate(exact):
            losses.append(run_episode(double, task, seed_of(0, 0, 0, position)).query_loss.item())
        return sum(losses) / len(losses)

    start, step = double.embed.detach().clone(), 1e-5
    for i, j in ((0, 0), (2, 1), (5, 2)):
        bump = torch.zeros_like(start)
        bump[i, j] = step
        slope = (value(start + bump) - value(start - bump)) / (2 * step)
        assert gradient["embed"][i, j].item() == pytest.approx(slope, rel=2e-3, abs=1e-6)


def test_clipping_bounds_the_whole_norm_and_keeps_the_direction() -> None:
    tasks = toy_tasks(4)
    free, clipped = trainer(Quadratic()), trainer(Quadratic(), clip=0.25)
    whole = free.compute_meta_gradient(free.prepare_meta_update(tasks)[1])["w"]
    short = clipped.compute_meta_gradient(clipped.prepare_meta_update(tasks)[1])["w"]
    assert short.norm().item() == pytest.approx(0.25, rel=1e-5)
    torch.testing.assert_close(short / short.norm(), whole / whole.norm())


def test_the_update_is_adamw_with_decoupled_decay() -> None:
    model = Quadratic()
    model.w.data += 2.0
    ours = trainer(model, meta_lr=0.1, weight_decay=0.5)
    assert ours.update_meta_model({"w": torch.full((SIZE,), 3.0)})
    # Adam's first step is the learning rate in the gradient's direction; decay takes lr * 0.5 of the weight.
    torch.testing.assert_close(model.w.detach(), torch.full((SIZE,), 2.0 * (1 - 0.1 * 0.5) - 0.1))
    assert ours.step == 1
    assert not ours.update_meta_model({"w": torch.full((SIZE,), math.nan)})
    assert ours.step == 2
    assert model.w.isfinite().all()


@pytest.mark.parametrize("memory", [0.0, 0.05])
def test_recomputing_episodes_gives_the_same_gradient(memory: float) -> None:
    tasks = toy_tasks(4)
    found = []
    for recompute in (False, True):
        ours = trainer(ToyModel(dropout=0.3, memory=memory), gradient_checkpointing=recompute)
        _, loss = ours.prepare_meta_update(tasks)
        found.append((loss.item(), ours.compute_meta_gradient(loss)["embed"], ours.model.seen.item()))
    assert found[0][0] == found[1][0]
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-6, atol=1e-8)
    assert found[0][2] == found[1][2] == len(tasks)  # what is remembered is not written twice


def test_recomputing_keeps_fewer_tensors_alive() -> None:
    tasks = toy_tasks(4)
    counts = []
    for recompute in (False, True):
        packed: list[int] = []
        ours = trainer(gradient_checkpointing=recompute)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, packed=packed: packed.append(x.numel()) or x, lambda x: x
        ):
            ours.prepare_meta_update(tasks)
        counts.append(sum(packed))
    assert counts[1] < counts[0] / 2


@pytest.mark.parametrize("mixed_precision", [False, True])
def test_training_lowers_the_loss_on_new_tasks(mixed_precision: bool) -> None:
    train, test = toy_tasks(12), toy_tasks(12, seed=99)
    ours = trainer(meta_lr=0.02, mixed_precision=mixed_precision)
    before = measure(ours.model, test, 0)
    for _ in range(30):
        _, loss = ours.prepare_meta_update(train)
        assert ours.update_meta_model(ours.compute_meta_gradient(loss))
    after = measure(ours.model, test, 0)
    assert after.loss < before.loss - 0.1
    assert after.accuracy > before.accuracy
    assert ours.model.embed.dtype == torch.float32


def test_mixed_precision_really_computes_in_bfloat16() -> None:
    seen = []

    class Watcher(Quadratic):
        def episode(self, task: FeatureTask, generator: torch.Generator) -> EpisodeResult:
            seen.append((task.query @ self.w).dtype)
            return super().episode(task, generator)

    trainer(Watcher(), mixed_precision=True).prepare_meta_update(toy_tasks(1))
    assert seen == [torch.bfloat16]


def test_the_global_generator_is_left_alone_and_chance_depends_on_seed_and_step() -> None:
    tasks = toy_tasks(2)
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    ours = trainer(ToyModel(dropout=0.5), seed=4)
    first, again = (ours.prepare_meta_update(tasks)[1].item() for _ in range(2))
    assert first == again
    assert torch.equal(state, torch.random.get_rng_state())
    ours.step = 1
    assert ours.prepare_meta_update(tasks)[1].item() != first
    assert trainer(ToyModel(dropout=0.5), seed=5).prepare_meta_update(tasks)[1].item() != first


def test_a_configuration_is_built_and_the_inner_loop_handed_over() -> None:
    def build(config: Any) -> EpisodicModel:
        return ToyModel(dropout=config["dropout"])

    ours = MetaTrainer({"dropout": 0.25}, 7, inner_lr=0.3, build=build, device="cpu")
    assert isinstance(ours.model, ToyModel)
    assert (ours.model.inner_steps, ours.model.inner_lr, ours.model.dropout.p) == (7, 0.3, 0.25)
    with pytest.raises(ModelError, match="build="):
        MetaTrainer({"dropout": 0.25})


def test_a_model_without_parameters_and_an_empty_batch_are_refused() -> None:
    frozen = Quadratic()
    frozen.w.requires_grad_(False)
    with pytest.raises(ModelError, match="no parameter to train"):
        trainer(frozen)
    with pytest.raises(TaskError, match="at least one task"):
        trainer().prepare_meta_update([])


def test_mixing_replaces_about_its_share_and_repeats_itself() -> None:
    tasks = toy_tasks(40)
    ours = trainer(mix=Mixing(interpolation=0.5))
    _, loss = ours.prepare_meta_update(tasks)
    assert ours.outcome is not None
    assert 10 < ours.outcome.synthetic.sum().item() < 30
    assert ours.prepare_meta_update(tasks)[1].item() == loss.item()
    with pytest.raises(TaskError, match=r"found 1\.5"):
        Mixing(interpolation=1.5)


def test_mixing_never_pairs_a_task_with_itself() -> None:
    a, b = toy_tasks(2)
    for seed in range(20):
        mixed = Mixing(interpolation=1.0)([a, b], 0, torch.Generator().manual_seed(seed))
        assert mixed.synthetic
        assert not torch.isin(mixed.support, a.support).all()


def test_measuring_changes_nothing_and_is_repeatable(tmp_path: Path) -> None:
    model = ToyModel(dropout=0.5, memory=0.1)
    tasks = toy_tasks(3)
    model.train()
    first, second = measure(model, tasks, 0), measure(model, tasks, 0)
    assert first == second
    assert model.training
    assert model.seen.item() == 0
    right = []
    for task in tasks:
        right.append(
            (model.eval().episode(task, torch.Generator()).logits.argmax(1) == task.query_targets)
            .float()
            .mean()
        )
    assert first.accuracy == pytest.approx(torch.stack(right).mean().item())
