"""Several heads as one: each head's left-out scores decide its temperature and its share in the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medmeta.models.heads import Fit, Linear, fit_temperature


@dataclass(frozen=True)
class HeadSetting:
    """A head and what meta-training says of it.

    Attributes:
        name: what the card calls it.
        fit: the head.
        temperature: factor on its scores that calibrates left-out scans of an average meta-train task.
    """

    name: str
    fit: Fit
    temperature: float


@dataclass(frozen=True, eq=False)
class Stack:
    """Fitted heads. ``weight (h, C, D)``, ``bias (h, C)``, ``temperatures (h,)``, ``shares (h,)``, float64."""

    weight: Tensor
    bias: Tensor
    temperatures: Tensor
    shares: Tensor

    def probabilities(self, z: Tensor) -> Tensor:
        """``(m, D)`` float64 feature vectors to ``(m, C)`` probabilities, each row by itself."""
        if not len(z):
            return z.new_empty(0, self.bias.shape[1])
        # Row by row: a matrix product may sum in another order when m differs.
        scores = torch.stack([self.weight @ row for row in z])
        chances = torch.softmax(self.temperatures[:, None] * (scores + self.bias), dim=2)
        return (self.shares[:, None] * chances).sum(dim=1)


def fit_stack(
    settings: Sequence[HeadSetting],
    z: Tensor,
    targets: Tensor,
    classes: int,
    left_out: Sequence[Sequence[int]],
) -> Stack:
    """Fit every head on the whole support, and its temperature and share on scans left out of it.

    The share of a head is ``exp(-loss)`` normalised over heads, the loss being the summed left-out cross
    entropy: pseudo-Bayesian model averaging (Yao et al. 2018, doi:10.1214/17-BA1091), which stays near equal
    shares while there is little evidence.

    Args:
        settings: the heads, h of them.
        z: ``(n, D)`` float64.
        targets: ``(n,)`` int64, every class occurring.
        classes: C.
        left_out: positions of each left-out bundle of groups; together 0..n-1, each once.
    """
    n = len(z)
    masks = torch.ones(1 + len(left_out), n, dtype=torch.bool)
    for fold, positions in enumerate(left_out):
        masks[1 + fold, list(positions)] = False
    fold_of = torch.empty(n, dtype=torch.int64)
    for fold, positions in enumerate(left_out):
        fold_of[list(positions)] = 1 + fold
    # A scan whose class is known from its own group alone tells nothing when that group is left out.
    judged = torch.tensor(
        [bool((masks[fold_of[i]] & (targets == targets[i])).any()) for i in range(n)], dtype=torch.bool
    )
    fitted: list[Linear] = [setting.fit(z, targets, classes, masks) for setting in settings]
    temperatures, losses = [], []
    for setting, linear in zip(settings, fitted, strict=True):
        scores = linear.scores(z)[fold_of, torch.arange(n)][judged]
        factor = fit_temperature(scores, targets[judged], prior=setting.temperature)
        chances = torch.log_softmax(factor * scores, dim=1)
        temperatures.append(factor)
        losses.append(-chances.gather(1, targets[judged][:, None]).sum())
    shares = torch.softmax(-torch.stack(losses), dim=0)
    return Stack(
        torch.stack([linear.weight[0] for linear in fitted]),
        torch.stack([linear.bias[0] for linear in fitted]),
        torch.tensor(temperatures, dtype=torch.float64),
        shares,
    )
