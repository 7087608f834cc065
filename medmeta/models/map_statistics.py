"""What is kept of a stage's map once its place in the image is given up: first and second moments, and the largest.

Means see what is there, deviations and covariances texture, and maxima the small finding that a mean drowns.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

#: Directions of channel space whose covariances are taken; all channels where there are fewer.
DIRECTIONS = 32


def statistic_sizes(channels: int) -> tuple[int, ...]:
    """Lengths of the blocks of :func:`map_statistics`, for maps of so many channels."""
    k = min(channels, DIRECTIONS)
    return channels, channels, channels, k * (k + 1) // 2


def map_statistics(maps: Tensor, root: Callable[[Tensor], Tensor] = torch.sqrt) -> tuple[Tensor, ...]:
    """Mean, deviation and maximum of each channel over space, and the channels' covariances.

    The covariances are a compact bilinear pooling (Gao et al. 2016, arXiv:1511.06062), here over orthonormal
    directions, and their signed roots are taken, which keeps single large ones from ruling (Lin et al. 2015,
    arXiv:1504.07889, section 3).

    Args:
        maps: ``(n, C, rows, columns)``.
        root: the square root; another one may have another slope.

    Returns:
        ``(n, C)`` three times and ``(n, k * (k + 1) / 2)``, the upper triangle row by row.
    """
    mean = maps.mean(dim=(2, 3))
    deviation = root(maps.var(dim=(2, 3), correction=0))
    spread = (maps - mean[:, :, None, None]).flatten(2)
    if maps.shape[1] > DIRECTIONS:
        spread = cosines(maps.shape[1], DIRECTIONS).to(maps) @ spread
    covariance = spread @ spread.mT / spread.shape[2]
    rows, columns = torch.triu_indices(covariance.shape[1], covariance.shape[1], device=maps.device)
    pairs = covariance[:, rows, columns]
    return mean, deviation, maps.amax(dim=(2, 3)), pairs.sign() * root(pairs.abs())


def cosines(size: int, count: int) -> Tensor:
    """The first ``count`` rows of the orthonormal discrete cosine transform (DCT-II), ``(count, size)``.

    Channels have no order, so these directions favour none; unlike drawn ones they need no keeping.
    """
    places = torch.arange(size, dtype=torch.float64) + 0.5
    rows = torch.cos(math.pi / size * torch.arange(count, dtype=torch.float64)[:, None] * places)
    rows *= math.sqrt(2.0 / size)
    rows[0] /= math.sqrt(2.0)
    return rows
