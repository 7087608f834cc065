"""The meta-model as it stands above a network that itself adapts, and what it knows of the features it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medmeta.models.feature_space import Grams, embed, within_class_basis
from medmeta.models.meta_model import MetaModel
from medmeta.models.task_batch import TaskBatch

#: Directions along which the core describes and stretches its space.
BASIS_RANK = 16


@dataclass(frozen=True, eq=False)
class Space:
    """What the core knows of its feature space; see `MetaModel` for ``centre``, ``basis`` and ``variances``."""

    blocks: tuple[int, ...]
    centre: Tensor
    basis: Tensor
    variances: Tensor

    @classmethod
    def unknown(cls, blocks: Sequence[int], seed: int) -> Space:
        """Random directions without variance: the learned metric then changes nothing."""
        size = sum(blocks)
        generator = torch.Generator().manual_seed(seed)
        square = torch.randn(size, min(BASIS_RANK, size), generator=generator, dtype=torch.float64)
        basis = torch.linalg.qr(square).Q
        centre = torch.zeros(size, dtype=torch.float64)
        return cls(tuple(blocks), centre, basis, torch.zeros_like(basis[0]))

    @classmethod
    def of(cls, sets: Sequence[tuple[Tensor, Tensor]], blocks: Sequence[int]) -> Space:
        """Mean and within-class directions of meta-train sets.

        Args:
            sets: features ``(n, D)``, not embedded, and targets ``(n,)`` of each set.
        """
        centre = torch.stack([features.to(torch.float64).mean(dim=0) for features, _ in sets]).mean(dim=0)
        embedded = [(embed(features, blocks, centre), targets) for features, targets in sets]
        return cls(tuple(blocks), centre, *within_class_basis(embedded, min(BASIS_RANK, len(centre))))


class Core(MetaModel):
    """`MetaModel` over features that carry a gradient, which its descriptor counts as constants.

    Spread within a class of one scan is zero, where a root has no gradient.
    """

    def describe(self, batch: TaskBatch, generators: Sequence[torch.Generator]) -> Tensor:
        found = batch.products
        constant = Grams(*(getattr(found, name).detach() for name in Grams.__dataclass_fields__))
        return super().describe(replace(batch, products=constant), generators)
