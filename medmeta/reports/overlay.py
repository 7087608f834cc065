"""An explanation laid over its scan, and what it can and cannot say."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor
from scipy.ndimage import gaussian_filter

from medmeta.evaluation.explanation import Explanation
from medmeta.evaluation.notes import quoted
from medmeta.reports import palette

#: Longest side of the picture, in pixels.
SIDE = 480
#: Cells by which the heat is smoothed: single cells mean little.
SMOOTH = 1.5
FOR, AGAINST = palette.CHOSEN, palette.OURS
OVERLAY_LIMITS = (
    "It shows what moved the model's answer, not that the place is diseased, nor why it matters. A wrong answer has "
    "its places too. Cells are about a twenty-eighth of the side: outlines finer than that mean nothing. Means over "
    "the whole scan, such as its brightness, have no place and are not shown."
)


def overlay_png(picture: NDArray[np.uint8], heat: NDArray[np.float64], opacity: float) -> bytes:
    """The scan with what speaks for the answer in orange and what speaks against it in blue.

    Args:
        picture: ``(rows, columns)`` or ``(rows, columns, 3)`` as the screen shows the central frame.
        heat: ``(s, s)`` over the same frame; see `Explanation`.
        opacity: of the strongest place, in [0, 1].
    """
    base = Image.fromarray(picture).convert("RGB")
    scale = SIDE / max(base.size)
    base = base.resize(
        (max(1, round(base.width * scale)), max(1, round(base.height * scale))), Image.Resampling.LANCZOS
    )
    smooth = gaussian_filter(heat, SMOOTH)
    strongest = float(np.percentile(np.abs(smooth), 99.5)) or 1.0
    share = np.clip(smooth / strongest, -1.0, 1.0).astype(np.float32)
    spread = np.asarray(Image.fromarray(share).resize(base.size, Image.Resampling.BICUBIC))
    colours = np.where(
        spread[..., None] > 0, np.array(ImageColor.getrgb(FOR)), np.array(ImageColor.getrgb(AGAINST))
    )
    alpha = opacity * np.clip(np.abs(spread), 0.0, 1.0)[..., None]
    mixed = np.asarray(base, dtype=np.float64) * (1 - alpha) + colours * alpha
    out = io.BytesIO()
    Image.fromarray(np.rint(mixed).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def overlay_words(told: Explanation) -> str:
    """How to read the colours."""
    return (
        f"Orange places speak for {quoted(told.towards)}, blue ones for {quoted(told.against)}, the stronger the "
        "colour the more."
    )
