"""A toy meta-learner whose gradients are known, and toy tasks, for every test of the outer loop."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.models.episodic import EpisodeResult, EpisodicModel
from medmeta.tasks.builder import TaskDistributionBuilder
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import FeatureTask, MetaTask
from medmeta.training.tensors import FeatureBank

SIZE = 6


class ToyModel(EpisodicModel):
    """Linear embedding, prototypes, then ``inner_steps`` differentiable gradient steps on the prototypes.

    A buffer counts the episodes seen in train mode and shifts the features a little: a memory in miniature.
    """

    def __init__(self, *, inner_steps: int = 2, dropout: float = 0.0, memory: float = 0.0) -> None:
        super().__init__()
        start = torch.randn(SIZE, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float32)
        self.embed = nn.Parameter(0.5 * start)
        self.unused = nn.Parameter(torch.ones(2, dtype=torch.float64))
        self.inner_steps, self.inner_lr = inner_steps, 0.1
        self.dropout, self.memory = nn.Dropout(dropout), memory
        self.register_buffer("seen", torch.zeros(()))
        self.seen: Tensor

    def episode(self, task: FeatureTask, generator: torch.Generator) -> EpisodeResult:
        noise = 0.01 * torch.randn(task.support.shape, generator=generator) if self.training else 0.0
        embed = self.embed * (1.0 + self.memory * self.seen)
        z = torch.tanh(self.dropout(task.support + noise) @ embed)
        members = F.one_hot(task.support_targets, task.ways).to(z.dtype)
        centres = members.T @ z / members.sum(dim=0)[:, None]
        recorded = torch.is_grad_enabled()
        for _ in range(self.inner_steps):
            with torch.enable_grad():
                here = centres if recorded else centres.detach().requires_grad_()
                slope = torch.autograd.grad(
                    _loss(z, here, task.support_targets), here, create_graph=recorded
                )[0]
            centres = centres - self.inner_lr * slope
        support_loss = _loss(z, centres, task.support_targets).detach()
        if self.training:
            self.seen = self.seen + 1
        logits = -torch.cdist(torch.tanh(task.query @ embed), centres).square()
        return EpisodeResult(support_loss, F.cross_entropy(logits, task.query_targets), logits.detach())


def _loss(z: Tensor, centres: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(-(z[:, None] - centres[None]).square().sum(dim=2), targets)


def toy_set(name: str, seed: int, *, classes: int = 4, each: int = 16, spread: float = 1.0) -> LabelledSet:
    """``each`` texts a class, two to a group; what they look like is `toy_features`."""
    targets = np.repeat(np.arange(classes), each)
    groups = tuple(f"{name}-{i // 2}" for i in range(len(targets)))
    items = tuple(f"{name} {seed} {spread} {i}" for i in range(len(targets)))
    return LabelledSet(
        name, f"{name} domain", tuple(f"class {c}" for c in range(classes)), targets, groups, items
    )


def toy_features(data: LabelledSet) -> Tensor:
    """Gaussian classes in the first three features, much noise in the rest."""
    seed, spread = int(data.items[0].split()[-3]), float(data.items[0].split()[-2])
    random = np.random.default_rng(seed)
    centres = np.concatenate(
        [random.normal(size=(len(data.classes), 3)), np.zeros((len(data.classes), SIZE - 3))], axis=1
    )
    noise = random.normal(size=(len(data.targets), SIZE)) * np.array([0.5] * 3 + [3.0] * (SIZE - 3)) * spread
    return torch.tensor(centres[data.targets] + noise, dtype=torch.float32)


def toy_bank(*sets: LabelledSet) -> FeatureBank:
    return FeatureBank(sets, {data.name: toy_features(data) for data in sets})


def toy_builder(
    *sets: LabelledSet, seed: int = 3, tasks: int = 12, batch: int = 4
) -> TaskDistributionBuilder:
    return TaskDistributionBuilder(
        list(sets), {"num_classes": [2, 3]}, tasks, shots=3, queries=4, sampler="difficulty", seed=seed,
        tasks_per_batch=batch,
    )  # fmt: skip


def toy_tasks(count: int, seed: int = 7, *, name: str = "a", spread: float = 1.0) -> list[FeatureTask]:
    """Tasks of one toy set."""
    data = toy_set(name, 11, spread=spread)
    bank = toy_bank(data)
    return [bank.task(task) for task in toy_draws(count, data, seed)]


def toy_draws(count: int, data: LabelledSet, seed: int = 7) -> list[MetaTask]:
    return list(toy_builder(data, seed=seed, tasks=count, batch=count).generate_batch())
