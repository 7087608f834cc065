"""Ridge regression in kernel form with left-out scores, differentiable in kernel and strength.

The anchor of the meta-model: everything learned is judged by the scores this head gives to support scans whose
group was left out of its fit, which costs a handful of ``n x n`` solves and no second look at any scan (Bertinetto et
al. 2019, arXiv:1805.08136, differentiate through the fit alone; left-out scores are what a person will see of it).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from medmeta.models.heads import INTERCEPT, balance


@dataclass(frozen=True, eq=False)
class Folds:
    """Fits over the same support: the first on all of it, the others with some groups left out.

    Attributes:
        masks: ``(1 + f, n)`` bool, True where a scan takes part.
        fold_of: ``(n,)`` int64, the fit that left the scan out.
        judged: ``(n,)`` bool, False where that fit knows no other scan of the scan's class.
    """

    masks: Tensor
    fold_of: Tensor
    judged: Tensor


def group_folds(groups: Tensor, targets: Tensor, most: int | None = None) -> Folds:
    """Leave each group out once, or where there are more than ``most`` groups, bundles of them dealt in turn.

    Args:
        groups: ``(n,)`` int64 codes.
        targets: ``(n,)`` int64; bundles take groups class by class, so that none loses a whole class.
        most: largest number of fits with something left out.
    """
    codes = list(dict.fromkeys(groups[torch.argsort(targets, stable=True)].tolist()))
    count = len(codes) if most is None else min(most, len(codes))
    fold_of_code = {code: 1 + position % count for position, code in enumerate(codes)}
    fold_of = torch.tensor([fold_of_code[code] for code in groups.tolist()], dtype=torch.int64)
    masks = torch.ones(1 + count, len(groups), dtype=torch.bool)
    masks[fold_of, torch.arange(len(groups))] = False
    same = targets[:, None] == targets[None, :]
    return Folds(masks, fold_of, (masks[fold_of] & same).any(dim=1))


def dual_weights(kernel: Tensor, targets: Tensor, classes: int, masks: Tensor, strength: Tensor) -> Tensor:
    """Dual coefficients ``(f, n, C)`` of ridge on one-hot targets, classes weighted alike.

    Args:
        kernel: ``(n, n)`` inner products of the support's (transformed) features.
        targets: ``(n,)`` int64.
        classes: C.
        masks: ``(f, n)`` bool, one row a fit.
        strength: scalar > 0, the penalty relative to a scan's weight of one.
    """
    root = balance(targets, classes, masks).to(kernel).sqrt()
    goal = root[:, :, None] * (F.one_hot(targets, classes).to(kernel) - 1.0 / classes)
    identity = torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    system = root[:, :, None] * (kernel + INTERCEPT) * root[:, None, :] + strength * identity
    solved: Tensor = torch.linalg.solve(system, goal)
    return root[:, :, None] * solved


def left_out_scores(
    kernel: Tensor, targets: Tensor, classes: int, folds: Folds, strength: Tensor
) -> tuple[Tensor, Tensor]:
    """Scores ``(n, C)`` of each scan by the fit that left it out; dual coefficients ``(n, C)`` of the full fit."""
    alpha = dual_weights(kernel, targets, classes, folds.masks, strength)
    return torch.einsum("nk,nkc->nc", kernel + INTERCEPT, alpha[folds.fold_of]), alpha[0]
