"""New tasks between two tasks: task interpolation (Yao et al. 2022, arXiv:2106.02695), in feature space.

For meta-training alone: a person's support is never mixed with anything.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from medmeta.errors import TaskError
from medmeta.tasks.meta_task import FeatureTask


def interpolate(
    a: FeatureTask, b: FeatureTask, generator: torch.Generator, alpha: float = 2.0
) -> FeatureTask:
    """Mix two tasks with one ``lambda ~ Beta(alpha, alpha)``: every row is ``lambda * x_a + (1 - lambda) * x_b``.

    Pairing: class i of ``a`` goes with class i of ``b`` (both were permuted when drawn, so the pair is random); with
    unequal ways the smaller number stays. Within a class the items of both are shuffled and paired one to one, as
    many as the smaller class has. Supports are mixed with supports and queries with queries, so no group of a
    query enters the support.

    Mixed support rows count as one group where they share a group of ``a`` or of ``b``, directly or through others:
    leaving a group out leaves out everything made from it.

    Args:
        a, b: tasks with support and query and equally long features.
        generator: CPU generator, the only source of chance.
        alpha: of the Beta distribution; large values mix half and half.

    Returns:
        a task marked ``synthetic``, named ``a+b`` (a set mixed with itself keeps its name), with ``modality``,
        ``body_part`` and ``domain`` where both agree, and the mixed text embedding where both have one.

    Raises:
        TaskError: no query, features of unlike length, or fewer than two common ways.
    """
    _check(a, b, alpha)
    random = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
    share = float(random.beta(alpha, alpha))
    ways = min(a.ways, b.ways)
    left, right, targets = _pairs(a.support_targets, b.support_targets, ways, generator)
    query_left, query_right, query_targets = _pairs(a.query_targets, b.query_targets, ways, generator)
    text = None
    if a.text is not None and b.text is not None:
        text = torch.lerp(b.text, a.text, share)
    return FeatureTask(
        source=a.source if a.source == b.source else f"{a.source}+{b.source}",
        domain=a.domain if a.domain == b.domain else f"{a.domain}+{b.domain}",
        ways=ways,
        support=torch.lerp(b.support[right], a.support[left], share),
        support_targets=targets,
        support_groups=_joined(a.support_groups[left], b.support_groups[right]),
        query=torch.lerp(b.query[query_right], a.query[query_left], share),
        query_targets=query_targets,
        modality=a.modality if a.modality == b.modality else None,
        body_part=a.body_part if a.body_part == b.body_part else None,
        text=text,
        synthetic=True,
    )


def _check(a: FeatureTask, b: FeatureTask, alpha: float) -> None:
    if not alpha > 0.0:
        raise TaskError(f"alpha of the Beta distribution must be above 0, found {alpha}")
    if min(a.ways, b.ways) < 2:
        raise TaskError(
            f"{a.source} and {b.source}: mixing needs two classes of each, found {a.ways} and {b.ways}"
        )
    for task in (a, b):
        if not len(task.query):
            raise TaskError(
                f"{task.source}: has no query, as while adapting for a person; tasks are mixed in meta-training only"
            )
    if a.support.shape[1] != b.support.shape[1]:
        raise TaskError(
            f"{a.source} and {b.source}: their features have {a.support.shape[1]} and {b.support.shape[1]} numbers; "
            "take both from one backbone"
        )


def _pairs(a: Tensor, b: Tensor, ways: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of ``a`` and of ``b`` to mix, ``(k,)`` each, and the class of each pair."""
    left, right, targets = [], [], []
    for way in range(ways):
        ours, theirs = (_shuffled((each == way).nonzero().flatten(), generator) for each in (a, b))
        count = min(len(ours), len(theirs))
        left.append(ours[:count])
        right.append(theirs[:count])
        targets.append(torch.full((count,), way, dtype=torch.int64, device=a.device))
    return torch.cat(left), torch.cat(right), torch.cat(targets)


def _shuffled(rows: Tensor, generator: torch.Generator) -> Tensor:
    return rows[torch.randperm(len(rows), generator=generator).to(rows.device)]


def _joined(a: Tensor, b: Tensor) -> Tensor:
    """Codes that are equal where rows hang together through a group of either task: connected components."""
    ours, theirs = a.tolist(), b.tolist()
    codes = list(range(len(ours)))
    for i in range(len(ours)):
        for j in range(i):
            if codes[i] != codes[j] and (ours[i] == ours[j] or theirs[i] == theirs[j]):
                old = codes[i]
                codes = [codes[j] if code == old else code for code in codes]
    return torch.tensor(codes, dtype=torch.int64, device=a.device)
