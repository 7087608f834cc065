"""What is kept of a stage's map once its place in the image is given up: first and second moments.

Means see what is there, deviations and covariances texture. These two are taken in overlapping windows and then
averaged: one odd corner does not rule the whole picture, and the middle, where what is asked about usually lies,
counts more than the edges.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

#: Directions of channel space whose covariances are taken; all channels where there are fewer.
DIRECTIONS = 32
#: Sides of a window, as a share of the map's.
WINDOW = 4 / 7
#: Windows side by side along each axis, from edge to edge.
WINDOWS = 3


def statistic_sizes(channels: int) -> tuple[int, ...]:
    """Lengths of the blocks of :func:`map_statistics`, for maps of so many channels."""
    k = min(channels, DIRECTIONS)
    return channels, channels, k * (k + 1) // 2


def windows(maps: Tensor) -> Tensor:
    """Nine overlapping windows of maps ``(n, C, rows, columns)``: ``(9 * n, C, p, q)``, window by window."""
    down, across = _places(maps.shape[2]), _places(maps.shape[3])
    return torch.cat([maps[:, :, rows, columns] for rows in down for columns in across])


def _places(size: int) -> list[slice]:
    side = max(1, round(WINDOW * size))
    starts = [round(place * (size - side) / (WINDOWS - 1)) for place in range(WINDOWS)]
    return [slice(start, start + side) for start in starts]


def map_statistics(maps: Tensor, root: Callable[[Tensor], Tensor] = torch.sqrt) -> tuple[Tensor, ...]:
    """Mean of each channel over space; and deviation and covariances of the channels, averaged over `windows`.

    The covariances are a compact bilinear pooling (Gao et al. 2016, arXiv:1511.06062), here over orthonormal
    directions, and their signed roots are taken, which keeps single large ones from ruling (Lin et al. 2015,
    arXiv:1504.07889, section 3).

    Args:
        maps: ``(n, C, rows, columns)``.
        root: the square root; another one may have another slope.

    Returns:
        ``(n, C)`` twice and ``(n, k * (k + 1) / 2)``, the upper triangle row by row.
    """
    parts = windows(maps)
    spread = (parts - parts.mean(dim=(2, 3), keepdim=True)).flatten(2)
    deviation = root(spread.square().mean(dim=2))
    if maps.shape[1] > DIRECTIONS:
        spread = cosines(maps.shape[1], DIRECTIONS).to(maps) @ spread
    covariance = spread @ spread.mT / spread.shape[2]
    rows, columns = torch.triu_indices(covariance.shape[1], covariance.shape[1], device=maps.device)
    pairs = covariance[:, rows, columns]
    found = (deviation, pairs.sign() * root(pairs.abs()))
    return maps.mean(dim=(2, 3)), *(each.view(-1, len(maps), each.shape[1]).mean(dim=0) for each in found)


def cosines(size: int, count: int) -> Tensor:
    """The first ``count`` rows of the orthonormal discrete cosine transform (DCT-II), ``(count, size)``.

    Channels have no order, so these directions favour none; unlike drawn ones they need no keeping.
    """
    places = torch.arange(size, dtype=torch.float64) + 0.5
    rows = torch.cos(math.pi / size * torch.arange(count, dtype=torch.float64)[:, None] * places)
    rows *= math.sqrt(2.0 / size)
    rows[0] /= math.sqrt(2.0)
    return rows
