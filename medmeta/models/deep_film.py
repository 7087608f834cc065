"""Feature-wise modulation of deep stages from a short vector: bounded, and exactly the identity at zero.

FiLM (Perez et al. 2018, arXiv:1709.07871) scales and shifts every channel of a map. Two numbers a channel are too
many for a handful of scans, so each stage's gains and offsets lie in a fixed low-rank space.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from medmeta.errors import ModelError
from medmeta.models.staged import Film


class DeepFilm(nn.Module):
    """Maps coefficients ``(P,)``, ``2 * rank`` a stage, to a gain and an offset for every channel.

    Both are ``bound * tanh(coefficients @ V)``. V has ``rank`` orthogonal rows of mean square 1, whatever the number
    of channels, so a coefficient means the same at every stage.

    Args:
        channels: of the output map of each dynamic stage, by name in the order of computation.
        rank: rows of V.
        bound: largest absolute gain or offset.
        seed: of V.

    Raises:
        ModelError: a stage has fewer channels than ``rank``.
    """

    def __init__(self, channels: Mapping[str, int], rank: int, *, bound: float = 0.5, seed: int = 0) -> None:
        super().__init__()
        self.names = tuple(channels)
        self.rank = rank
        self.bound = bound
        generator = torch.Generator().manual_seed(seed)
        for name, count in channels.items():
            if rank > count:
                raise ModelError(
                    f"meta_model.rank must be at most {count}, the channels of {name}; found {rank}"
                )
            square = torch.randn(count, rank, generator=generator, dtype=torch.float64)
            directions = torch.linalg.qr(square).Q.T.contiguous() * count**0.5
            self.register_buffer(f"directions_{name}", directions)

    @property
    def size(self) -> int:
        """P."""
        return sum(self.group_sizes)

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """Coefficients of each stage."""
        return (2 * self.rank,) * len(self.names)

    def forward(self, vector: Tensor) -> dict[str, Film]:
        """Gain and offset ``(C,)`` after each stage, for `StagedNetwork.run`."""
        found = {}
        for name, part in zip(self.names, torch.split(vector, list(self.group_sizes)), strict=True):
            both = self.bound * torch.tanh(part.view(2, self.rank) @ self.get_buffer(f"directions_{name}"))
            found[name] = (both[0], both[1])
        return found
