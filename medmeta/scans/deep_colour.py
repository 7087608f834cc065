"""PNG and TIFF pictures of 16 bits a channel, of which Pillow gives eight: it is asked twice, once for each byte."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from medmeta.scans.refusal import RefusedError

#: Pillow's names for how such channels lie in the file: alpha last, then big, little or the machine's byte order.
_LAYOUTS = frozenset(("LA;16B", *(f"{kind};16{order}" for kind in ("RGB", "RGBA") for order in "BLN")))
#: Below this, the upper eight bits of a colour picture tell no more than 16 levels apart.
_DARK = 2**12


def layout_of(picture: Image.Image) -> str | None:
    """How the 16-bit channels of a picture lie that is opened and not yet loaded; None for pictures of other kinds."""
    if not isinstance(picture, ImageFile.ImageFile) or not picture.tile:
        return None
    arguments = picture.tile[0].args
    layout = arguments if isinstance(arguments, str) else (arguments or (None,))[0]
    return layout if layout in _LAYOUTS else None


def read_as(picture: Image.Image, layout: str) -> None:
    """Let a picture that is not yet loaded be read as if its channels lay so."""
    assert isinstance(picture, ImageFile.ImageFile)
    picture.tile = [
        tile._replace(args=layout if isinstance(tile.args, str) else (layout, *(tile.args or ())[1:]))
        for tile in picture.tile
    ]


def deep_pixels(load: Callable[[str], NDArray[Any]], layout: str) -> NDArray[Any]:
    """Pixels over black: (rows, columns) uint16 where the channels are equal, else the upper bits as uint8 RGB.

    Args:
        load: the picture as `read_as` has it, opened anew at every call.
        layout: `layout_of` the picture.

    Raises:
        RefusedError: a colour picture in whose upper bits next to nothing is left.
    """
    samples = _samples(load, layout)
    if samples.shape[-1] in (2, 4):
        opacity = samples[..., -1:].astype(np.uint32)
        samples = ((samples[..., :-1] * opacity + 2**15 - 1) // (2**16 - 1)).astype(np.uint16)
    if (samples == samples[..., :1]).all():
        return np.ascontiguousarray(samples[..., 0])
    if samples.max() < _DARK:
        raise RefusedError(
            f"its colours of 16 bits go no higher than {samples.max()}, and would be nearly black in the 8 bits that "
            "are read; save it as 8-bit colour, or as 16-bit greyscale"
        )
    return (samples >> 8).astype(np.uint8)


def _samples(load: Callable[[str], NDArray[Any]], layout: str) -> NDArray[np.uint16]:
    if layout == "LA;16B":  # as long as four channels of a byte, which are read as they are
        return np.ascontiguousarray(load("RGBA")).view(">u2").astype(np.uint16)
    kind, order = layout.split(";16")
    first, second = load(f"{kind};16B"), load(f"{kind};16L")  # each takes the byte it holds for the upper one
    big = order == "B" or (order == "N" and sys.byteorder == "big")
    high, low = (first, second) if big else (second, first)
    samples: NDArray[np.uint16] = high.astype(np.uint16) << 8 | low
    return samples
