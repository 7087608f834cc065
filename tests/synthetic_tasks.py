"""Small meta-models and tasks in feature space, for tests of the meta-model's own parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medmeta.models.meta_model import MetaModel, Parts
from medmeta.tasks.meta_task import FeatureTask

BLOCKS = (8, 6)
RANK = 3
#: Every part on, whatever the defaults.
ALL_PARTS = Parts(generation=True, memory=True, metric=True, steps=8, probe=True, stack=True, text=True)


def meta_model(
    parts: Parts = ALL_PARTS, *, blocks: Sequence[int] = BLOCKS, rank: int = RANK, **options: Any
) -> MetaModel:
    """An untrained model in eval mode, with a basis that runs across the blocks."""
    random = np.random.default_rng(1)
    size = sum(blocks)
    basis, _ = np.linalg.qr(random.normal(size=(size, rank)))
    variances = np.sort(random.uniform(0.1, 2.0, rank))[::-1].copy()
    centre = 0.2 * random.normal(size=size)
    model = MetaModel(
        blocks,
        torch.tensor(centre),
        torch.tensor(basis),
        torch.tensor(variances),
        parts=parts,
        slots=6,
        **options,
    )
    return model.eval()


def disturbed(model: MetaModel, size: float = 0.2, seed: int = 0) -> MetaModel:
    """The model with every parameter moved at random, as if it had been trained, and with rates that matter."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(size * torch.randn(value.shape, generator=random, dtype=value.dtype))
        model.log_rates += 2.0
    return model


def task(
    model: MetaModel,
    seed: int = 0,
    *,
    shots: Sequence[int] = (4, 4, 4),
    queries: int = 4,
    source: str = "a",
    per_group: int = 1,
    noise: float = 0.8,
    **facts: Any,
) -> FeatureTask:
    """Gaussian classes, embedded; ``per_group`` neighbours of a class share a group."""
    random = np.random.default_rng((7, seed))
    ways, size = len(shots), sum(model.blocks)
    centres = random.normal(size=(ways, size))
    targets = np.repeat(np.arange(ways), shots)
    asked = np.repeat(np.arange(ways), queries)

    def embedded(wanted: NDArray[np.int64]) -> Tensor:
        return model.embed(torch.tensor(centres[wanted] + noise * random.normal(size=(len(wanted), size))))

    groups = [(c, i // per_group) for c, count in enumerate(shots) for i in range(count)]
    codes = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    return FeatureTask(
        source=source,
        domain="made up",
        ways=ways,
        support=embedded(targets),
        support_targets=torch.tensor(targets),
        support_groups=torch.tensor([codes[group] for group in groups]),
        query=embedded(asked),
        query_targets=torch.tensor(asked),
        **facts,
    )


def explicit_map(basis: Tensor, gains: Tensor, scale: Tensor) -> NDArray[np.float64]:
    """``(D, D)``: what weighing blocks and stretching the basis does to a feature row, as one matrix."""
    u = basis.numpy()
    stretched = np.eye(len(u)) + u @ np.diag(gains.detach().numpy() - 1.0) @ u.T
    return np.diag(scale.detach().numpy()) @ stretched


def closed_form_ridge(
    x: NDArray[np.float64],
    targets: NDArray[np.int64],
    classes: int,
    strength: float,
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """``(D + 1, C)`` weights and, last, intercept: balanced ridge on centred one-hot targets, normal equations.

    ``kept`` are the scans that take part; weights are those of all.
    """
    design = np.hstack([x, np.ones((len(x), 1))])
    counts = np.bincount(targets, minlength=classes)
    weight = len(x) / ((counts > 0).sum() * counts[targets]) * (True if kept is None else kept)
    goal = np.eye(classes)[targets] - 1.0 / classes
    system = design.T @ (weight[:, None] * design) + strength * np.eye(design.shape[1])
    found: NDArray[np.float64] = np.linalg.solve(system, design.T @ (weight[:, None] * goal))
    return found
