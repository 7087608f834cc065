"""What is generated for a task and adapted in its inner loop: one flat vector, and the three things it means."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Where each group of parameters stands in the vector: strength (1), block weights (B), basis gains (r).

    Everything is on a log scale, so that 0 changes nothing and no step leaves the allowed range. Blocks that are
    ``off`` weigh nothing.
    """

    blocks: int
    rank: int
    off: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return 1 + self.blocks + self.rank

    @property
    def group_sizes(self) -> tuple[int, int, int]:
        """Lengths of the groups that share an inner learning rate."""
        return (1, self.blocks, self.rank)

    def split(self, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(..., P)`` to ridge strength ``(...)``, block weights ``(..., B)`` of mean square 1, gains ``(..., r)``."""
        strength, blocks, gains = torch.split(vector, list(self.group_sizes), dim=-1)
        if self.off:
            blocks = blocks.index_fill(-1, torch.tensor(self.off), -torch.inf)
        # Half a logarithm, not a root: a block that is off has weight 0, where the root's gradient is infinite.
        weights = (0.5 * torch.log_softmax(2.0 * blocks, dim=-1)).exp() * math.sqrt(self.blocks)
        return strength[..., 0].exp(), weights, gains.exp()
