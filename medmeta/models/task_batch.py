"""`TaskBatch`: tasks of any sizes side by side, as inner products; one pass of the meta-model serves them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from medmeta.models.feature_space import Grams, grams
from medmeta.models.kernel_ridge import Goals
from medmeta.tasks.meta_task import FeatureTask


@dataclass(frozen=True, eq=False)
class TaskBatch:
    """T tasks, padded to the most support scans n, query scans m and classes C of one of them.

    Attributes:
        tasks: as they were given.
        products: inner products of their scans.
        goals: of their supports.
        query_targets: ``(T, m)`` int64, 0 where padded.
        asked: ``(T, m)`` bool, False where padded.
    """

    tasks: tuple[FeatureTask, ...]
    products: Grams
    goals: Goals
    query_targets: Tensor
    asked: Tensor

    @classmethod
    def of(cls, tasks: Sequence[FeatureTask], basis: Tensor, blocks: Sequence[int]) -> TaskBatch:
        """The batch of tasks with embedded features (`feature_space.embed`); at least one.

        Args:
            basis: ``(D, r)``.
            blocks: lengths of the feature blocks.
        """
        shown = basis.to(tasks[0].support.dtype)
        found = [grams(task.support, task.query, shown, blocks) for task in tasks]
        asked = [torch.ones_like(task.query_targets, dtype=torch.bool) for task in tasks]
        return cls(
            tuple(tasks),
            _side_by_side(found),
            Goals.of(tasks),
            pad_sequence([task.query_targets for task in tasks], batch_first=True),
            pad_sequence(asked, batch_first=True),
        )


def _side_by_side(found: Sequence[Grams]) -> Grams:
    """Products of single tasks, padded with zeros and stacked."""
    n = max(each.gram.shape[2] for each in found)
    m = max(each.cross.shape[1] for each in found)

    def padded(values: Sequence[Tensor], rows: int, columns: int) -> Tensor:
        return torch.stack(
            [F.pad(value, (0, columns - value.shape[2], 0, rows - value.shape[1])) for value in values]
        )

    rank = found[0].along.shape[2]
    return Grams(
        padded([each.gram for each in found], n, n),
        padded([each.along for each in found], n, rank),
        padded([each.cross for each in found], m, n),
        padded([each.cross_along for each in found], m, rank),
    )
