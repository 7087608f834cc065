"""Random views of training images: geometry, brightness and stain, one draw an image, a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """How far a random view may stray.

    Attributes:
        crop: least share of the side that a crop keeps.
        turn: largest rotation, in radians.
        upside_down: chance of a vertical flip; a horizontal one has a chance of one half.
        gain, offset, gamma: spread of contrast, brightness and gamma (contrast and gamma on a log scale).
        stain: spread of each channel's own gain, which imitates staining and cameras.
    """

    crop: float = 0.65
    turn: float = 0.25
    upside_down: float = 0.3
    gain: float = 0.25
    offset: float = 0.12
    gamma: float = 0.3
    stain: float = 0.12


def random_views(images: Tensor, side: int, generator: torch.Generator, how: Augmentation) -> Tensor:
    """One random view of each image.

    Args:
        images: ``(n, 3, s, s)`` float32 in [0, 1].
        side: rows and columns of the views, in pixels.
        generator: the only source of chance.

    Returns:
        ``(n, 3, side, side)`` float32 in [0, 1].
    """
    n = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    scale = uniform(how.crop, 1.0)
    angle = uniform(-how.turn, how.turn)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    flip = torch.where(uniform(0, 1) < how.upside_down, -1.0, 1.0)
    right, down = (1 - scale) * uniform(-1, 1), (1 - scale) * uniform(-1, 1)
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    rows = [
        torch.stack([cosine * mirror, -sine * flip, right], dim=1),
        torch.stack([sine * mirror, cosine * flip, down], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), [n, 3, side, side], align_corners=False)
    views = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    gamma = uniform(-how.gamma, how.gamma, 1, 1, 1).exp()
    gain = uniform(-how.gain, how.gain, 1, 1, 1).exp() * uniform(-how.stain, how.stain, 3, 1, 1).exp()
    offset = uniform(-how.offset, how.offset, 1, 1, 1)
    return ((views.clamp(1e-4, 1.0) ** gamma - 0.5) * gain + 0.5 + offset).clamp(0.0, 1.0)
