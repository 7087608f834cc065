"""One task's episode as the outer loop runs it: seeded by its place, optionally in mixed precision, optionally
recomputed in the backward pass instead of kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from medmeta.models.episodic import EpisodeResult, EpisodicModel
from medmeta.tasks.meta_task import FeatureTask
from medmeta.training.distributed import ALONE, Workers

#: First number of a seed's place: what the chance is for.
TRAINING, MIXING, VALIDATION, CONTINUAL = range(4)
#: Tasks that are measured side by side.
AT_ONCE = 16


@dataclass(frozen=True)
class Measured:
    """Means over tasks.

    Attributes:
        loss: of the query loss.
        accuracy: of the share of query rows answered right.
    """

    loss: float
    accuracy: float


def seed_of(seed: int, *place: int) -> int:
    """A seed of its own for every place, so that no result depends on what was computed before."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0] >> 1)


def run_episode(
    model: EpisodicModel,
    task: FeatureTask,
    seed: int,
    *,
    mixed_precision: bool = False,
    recompute: bool = False,
) -> EpisodeResult:
    """The model's episode on ``task``.

    A model that writes into its buffers must put new tensors in their place: the old ones are part of the graph.

    Args:
        task: on the model's device.
        seed: of the episode's generator, and of the global one within the episode, which dropout layers use.
        mixed_precision: matrix products in bfloat16, whose range needs no loss scaling.
        recompute: keep no activations and compute them again in the backward pass (Chen et al. 2016,
            arXiv:1604.06174); the gradient is the same.
    """
    device = task.support.device

    def run() -> EpisodeResult:
        devices = [device] if device.type == "cuda" else []
        autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed_precision)
        with torch.random.fork_rng(devices), autocast:
            torch.manual_seed(seed)
            return model.episode(task, torch.Generator().manual_seed(seed))

    if not recompute:
        return run()
    again = _repeatable(model, run)

    def losses() -> tuple[Tensor, Tensor, Tensor]:
        found = again()
        return found.support_loss, found.query_loss, found.logits

    return EpisodeResult(*checkpoint(losses, use_reentrant=False, preserve_rng_state=False))


def run_episodes(
    model: EpisodicModel,
    tasks: Sequence[FeatureTask],
    seeds: Sequence[int],
    *,
    mixed_precision: bool = False,
    recompute: bool = False,
) -> list[EpisodeResult]:
    """The model's episodes on ``tasks``, side by side where it can; else, or to recompute, one after the other.

    Arguments as in :func:`run_episode`, a seed for each task.
    """
    if not model.side_by_side or recompute or not tasks:
        return [
            run_episode(model, task, seed, mixed_precision=mixed_precision, recompute=recompute)
            for task, seed in zip(tasks, seeds, strict=True)
        ]
    device = tasks[0].support.device
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed_precision):
        return model.episodes(tasks, [torch.Generator().manual_seed(seed) for seed in seeds])


def _repeatable(model: nn.Module, run: Callable[[], EpisodeResult]) -> Callable[[], EpisodeResult]:
    """``run``, whose later calls find the model's buffers as the first did, and leave them as they are now.

    A model may write what it remembers into buffers; a recomputation must not see it, nor write it twice.
    """
    before = [(module, name, value.clone()) for module, name, value in _buffers(model)]
    ran = False

    def again() -> EpisodeResult:
        nonlocal ran
        if not ran:
            ran = True
            return run()
        with _holding(model, before):
            return run()

    return again


@contextmanager
def _holding(model: nn.Module, values: Sequence[tuple[nn.Module, str, Tensor]]) -> Iterator[None]:
    # Buffers are exchanged, not overwritten: graphs of other tasks may hold the present ones.
    now = list(_buffers(model))
    try:
        for module, name, value in values:
            setattr(module, name, value.clone())
        yield
    finally:
        for module, name, value in now:
            setattr(module, name, value)


def _buffers(model: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    for module in model.modules():
        for name, value in module.named_buffers(recurse=False):
            yield module, name, value


def accuracy(result: EpisodeResult, task: FeatureTask) -> float:
    """Share of query rows answered right."""
    return float((result.logits.argmax(dim=1) == task.query_targets).double().mean())


def measure(
    model: EpisodicModel, tasks: Sequence[FeatureTask], seed: int, workers: Workers = ALONE
) -> Measured:
    """Mean query loss and accuracy in eval mode, no graph kept; the same tasks and seed give the same answer.

    Args:
        tasks: at least one, on the model's device.
    """
    training = model.training
    model.eval()
    try:
        sums = torch.zeros(2, dtype=torch.float64)
        own = list(workers.share(len(tasks)))
        for first in range(0, len(own), AT_ONCE):
            places = own[first : first + AT_ONCE]
            some = [tasks[place] for place in places]
            with torch.no_grad():
                results = run_episodes(model, some, [seed_of(seed, VALIDATION, place) for place in places])
            for result, task in zip(results, some, strict=True):
                sums += torch.tensor([float(result.query_loss), accuracy(result, task)])
    finally:
        model.train(training)
    loss, right = (workers.total(sums.to(tasks[0].support.device)) / len(tasks)).tolist()
    return Measured(loss, right)
