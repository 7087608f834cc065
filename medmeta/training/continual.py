"""A deployed meta-model takes in finished tasks, and keeps its old weights where it would forget old ones."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medmeta.errors import TaskError
from medmeta.models.backbones import pick_device
from medmeta.models.episodic import EpisodicModel
from medmeta.progress import Progress, silent
from medmeta.tasks.meta_task import FeatureTask
from medmeta.training.outer import CONTINUAL, measure, run_episode, seed_of

#: Norm that a meta-gradient is clipped to.
CLIP = 1.0


@dataclass(frozen=True)
class ContinualReport:
    """What taking in new tasks did.

    Attributes:
        accepted: the model holds the new weights; otherwise it is as it was.
        old_before, old_after: mean accuracy on old tasks that were not rehearsed, with the old and new weights.
        new_before, new_after: the same on the new tasks, which were trained on.
        limit: how far the old accuracy may fall.
        steps: updates made.
        reason: a sentence for people.
    """

    accepted: bool
    old_before: float
    old_after: float
    new_before: float
    new_after: float
    limit: float
    steps: int
    reason: str


def continue_training(
    model: EpisodicModel,
    new_tasks: Sequence[FeatureTask],
    old_tasks: Sequence[FeatureTask],
    *,
    steps: int = 100,
    tasks_per_step: int = 4,
    meta_lr: float = 1e-4,
    pull: float = 1.0,
    elastic: bool = False,
    limit: float = 0.01,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> ContinualReport:
    """Train on new tasks, rehearsing old ones (Robins 1995, doi:10.1080/09540099550039318).

    Every second old task is rehearsed; the others are only measured, before and after. Each step takes as many new
    tasks as rehearsed ones, and adds ``pull * importance * (weight - deployed weight)`` to the meta-gradient.

    Args:
        model: the deployed model; replaced only when the update is accepted.
        new_tasks: at least one.
        old_tasks: at least two.
        steps: updates.
        tasks_per_step: tasks of each kind in one update.
        meta_lr: of AdamW; the pull takes the place of weight decay.
        pull: strength of the L2 pull to the deployed weights.
        elastic: weigh the pull by each weight's importance to the rehearsed tasks, the mean squared gradient over
            its mean (Kirkpatrick et al. 2017, arXiv:1612.00796); otherwise every weight counts 1.
        limit: the update is refused when the old tasks' accuracy falls by more.
        seed: of everything random.

    Raises:
        TaskError: too few tasks.
        CancelledError: ``progress`` asked to stop; the model is as it was.
    """
    if not new_tasks or len(old_tasks) < 2:
        raise TaskError(
            "at least 1 new and 2 old tasks are needed (one to rehearse, one to measure), found "
            f"{len(new_tasks)} and {len(old_tasks)}"
        )
    place = pick_device(device)
    candidate = copy.deepcopy(model).to(place)
    fresh, rehearsed, judged = (
        [task.to(place) for task in tasks] for tasks in (new_tasks, old_tasks[::2], old_tasks[1::2])
    )
    old_before, new_before = (measure(candidate, tasks, seed).accuracy for tasks in (judged, fresh))
    deployed = {name: value.detach().clone() for name, value in candidate.named_parameters()}
    weight = _importance(candidate, rehearsed, seed) if elastic else {}
    trained = [value for value in candidate.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=meta_lr, weight_decay=0.0)
    parameters = dict(candidate.named_parameters())
    candidate.train()
    for step in range(steps):
        batch = [
            *_drawn(fresh, tasks_per_step, seed, step, 0),
            *_drawn(rehearsed, tasks_per_step, seed, step, 1),
        ]
        for name, value in _gradient(candidate, batch, seed, step).items():
            drift = parameters[name].detach() - deployed[name]
            value.add_(pull * weight.get(name, 1.0) * drift)
            parameters[name].grad = value
        if torch.nn.utils.clip_grad_norm_(trained, CLIP).isfinite():
            optimiser.step()
        progress((step + 1) / steps, f"Taking in new tasks, step {step + 1} of {steps}")
    old_after, new_after = (measure(candidate, tasks, seed).accuracy for tasks in (judged, fresh))
    accepted = old_after >= old_before - limit
    change = f"accuracy on old tasks went from {100 * old_before:.1f} to {100 * old_after:.1f} %"
    if accepted:
        model.load_state_dict(candidate.state_dict())
        reason = f"taken over: {change}, within the limit of {100 * limit:.1f} points"
    else:
        reason = f"refused, the deployed model stays: {change}, more than {100 * limit:.1f} points down"
    return ContinualReport(accepted, old_before, old_after, new_before, new_after, limit, steps, reason)


def _drawn(tasks: Sequence[FeatureTask], count: int, *place: int) -> list[FeatureTask]:
    seed, step, kind = place
    chance = torch.Generator().manual_seed(seed_of(seed, CONTINUAL, step, kind))
    return [tasks[int(i)] for i in torch.randint(len(tasks), (count,), generator=chance)]


def _gradient(model: EpisodicModel, batch: Sequence[FeatureTask], seed: int, step: int) -> dict[str, Tensor]:
    losses = [
        run_episode(model, task, seed_of(seed, CONTINUAL, step, 2 + position)).query_loss
        for position, task in enumerate(batch)
    ]
    return model.meta_gradient(torch.stack(losses).mean())


def _importance(model: EpisodicModel, tasks: Sequence[FeatureTask], seed: int) -> dict[str, Tensor]:
    """Diagonal Fisher information by parameter, estimated from one gradient a task, divided by its mean."""
    sums: dict[str, Tensor] = {}
    for position, task in enumerate(tasks):
        # On a copy: looking at a task must not leave anything in the model.
        for name, value in _gradient(copy.deepcopy(model).eval(), [task], seed, position).items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value.square()
    mean = torch.cat([value.reshape(-1) for value in sums.values()]).mean().clamp(min=1e-30)
    return {name: value / mean for name, value in sums.items()}
