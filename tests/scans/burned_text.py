"""Pictures with and without text, made by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medmeta.scans.scan import Scan


def shaded(seed: int, side: int = 160) -> NDArray[np.uint8]:
    """A soft blob under noise, never twice the same: ``(side, side)`` uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    cx, cy = random.uniform(0.3, 0.7, 2)
    values = 60 + 120 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.05) + random.normal(0, 12, (side, side))
    return np.clip(values, 0, 255).astype(np.uint8)


def written(
    pixels: NDArray[np.uint8], text: str = "DOE^JANE 1961", at: tuple[int, int] = (8, 6)
) -> NDArray[np.uint8]:
    """The picture with a line of white text, 14 pixels high."""
    picture = Image.fromarray(pixels)
    ImageDraw.Draw(picture).text(at, text, font=ImageFont.load_default(16), fill=255)
    return np.asarray(picture)


def as_scan(pixels: NDArray[np.uint8], file: str = "IM1", group: str = "P1") -> Scan:
    return Scan(file, pixels[None].copy(), group)
