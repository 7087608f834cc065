"""Ridge regression in kernel form for many tasks at once, with left-out scores, differentiable in kernel and strength.

The anchor of the meta-model: everything learned is judged by the scores this head gives to support scans whose
group was left out of its fit (Bertinetto et al. 2019, arXiv:1805.08136, differentiate through the fit alone;
left-out scores are what a person will see of it). No fit is repeated for them: what leaving a group out does to
its residuals stands in the group's block of the one inverse (Cook and Weisberg 1982, section 2.2, for groups).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from medmeta.models.heads import INTERCEPT, balance
from medmeta.tasks.meta_task import FeatureTask

#: Score of a class that a task does not have. Finite, so that gradients stay so too.
UNKNOWN = -1e9


@dataclass(frozen=True, eq=False)
class Goals:
    """What T supports are to be fitted to; padded to n scans and C classes, the most that one of them has.

    Attributes:
        targets: ``(T, n)`` int64, 0 where padded.
        present: ``(T, n)`` bool, False where padded.
        known: ``(T, C)`` bool, the task's own classes.
        together: ``(T, n, n)`` bool, scans of one group; a padded one is a group of its own.
        judged: ``(T, n)`` bool, True for a scan whose class has scans in other groups.
        values: ``(T, n, C)`` float64 one-hot targets less their mean; 0 where padded.
        root: ``(T, n)`` float64, square root of each scan's weight, which lets classes count alike.
    """

    targets: Tensor
    present: Tensor
    known: Tensor
    together: Tensor
    judged: Tensor
    values: Tensor
    root: Tensor

    @classmethod
    def of(cls, tasks: Sequence[FeatureTask]) -> Goals:
        """The goals of the tasks' supports."""
        targets = pad_sequence([task.support_targets for task in tasks], batch_first=True)
        groups = pad_sequence([task.support_groups for task in tasks], batch_first=True)
        here = [torch.ones_like(task.support_targets, dtype=torch.bool) for task in tasks]
        present = pad_sequence(here, batch_first=True)
        ways = torch.tensor([task.ways for task in tasks], device=targets.device)
        known = torch.arange(int(ways.max()), device=targets.device) < ways[:, None]
        both = present[:, :, None] & present[:, None, :]
        same_group = (groups[:, :, None] == groups[:, None, :]) & both
        same_class = (targets[:, :, None] == targets[:, None, :]) & both
        hot = F.one_hot(targets, known.shape[1]).to(torch.float64)
        values = (hot - 1.0 / ways[:, None, None].to(torch.float64)) * (
            present[:, :, None] & known[:, None, :]
        )
        weights = [
            balance(task.support_targets, task.ways, mask[None])[0]
            for task, mask in zip(tasks, here, strict=True)
        ]
        return cls(
            targets,
            present,
            known,
            same_group | torch.eye(targets.shape[1], dtype=torch.bool, device=targets.device),
            (same_class & ~same_group).any(dim=2),
            values,
            pad_sequence(weights, batch_first=True, padding_value=1.0).sqrt(),
        )

    def times(self, count: int) -> Goals:
        """Every support ``count`` times in a row, for as many kernels of its own."""
        fields = (getattr(self, name).repeat_interleave(count, dim=0) for name in self.__dataclass_fields__)
        return Goals(*fields)

    def losses(self, scores: Tensor) -> Tensor:
        """Summed cross entropy of the scans that can be judged, ``(T,)``; 0 where none can.

        Args:
            scores: ``(T, n, C)``, the temperature in them.
        """
        chances = torch.log_softmax(self.limited(scores), dim=2)
        each = -chances.gather(2, self.targets[:, :, None])[:, :, 0]
        return each.where(self.judged, 0.0).sum(dim=1)

    def limited(self, scores: Tensor) -> Tensor:
        """Scores ``(T, m, C)`` with :data:`UNKNOWN` for classes that the task does not have."""
        return scores.masked_fill(~self.known[:, None, :], UNKNOWN)


def ridge(kernel: Tensor, goals: Goals, strength: Tensor) -> tuple[Tensor, Tensor]:
    """Fit ridge on one-hot targets, and leave each group out of the fit in turn, the others' weights unchanged.

    Args:
        kernel: ``(T, n, n)`` inner products of the supports' (transformed) features; what padding has is not read.
        goals: what to fit.
        strength: ``(T,)`` > 0, the penalty relative to a scan's mean weight of one.

    Returns:
        scores ``(T, n, C)`` of each scan by the fit without its group, and dual coefficients ``(T, n, C)`` of the
        whole fit, 0 where padded.
    """
    both = goals.present[:, :, None] & goals.present[:, None, :]
    root = goals.root[:, :, None]
    identity = torch.eye(kernel.shape[1], dtype=kernel.dtype, device=kernel.device)
    system = root * ((kernel + INTERCEPT) * both) * root.mT + strength[:, None, None] * identity
    inverse = torch.linalg.inv(system)
    fitted = inverse @ (root * goals.values)
    residual = torch.linalg.solve(inverse * goals.together, fitted) / root
    return goals.values - residual, root * fitted
