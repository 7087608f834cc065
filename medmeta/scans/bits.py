"""Which bits of a stored word are the value of a sample (PS3.5 8.1.1)."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medmeta.scans.attributes import attribute
from medmeta.scans.geometry import Geometry
from medmeta.scans.refusal import RefusedError

#: Give the very words that were stored. A lossy codec may step over the highest value, which is no bit to cut off.
_EXACT = frozenset(
    (
        RLELossless,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEG2000Lossless,
        HTJ2KLossless,
        HTJ2KLosslessRPCL,
    )
)


def high_bit(dataset: Dataset, geometry: Geometry) -> int:
    """Position of a value's highest bit, 0 being the lowest of the word; Bits Stored - 1 where the file names none.

    Raises:
        RefusedError: the bits lie outside the word, or above others where only the lowest can be told.
    """
    lowest = geometry.bits_stored - 1
    named = attribute(dataset, "HighBit")
    if named is None or named == "":
        return lowest
    if not isinstance(named, int) or not lowest <= named < geometry.bits_allocated:
        raise RefusedError(
            f"HighBit does not go with BitsStored {geometry.bits_stored}; {lowest} to "
            f"{geometry.bits_allocated - 1} was expected, so export the scan again"
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    # A codestream has a depth of its own, and the standard does not say where its bits then lie.
    if named > lowest and (geometry.samples > 1 or (syntax.is_encapsulated and syntax != RLELossless)):
        raise RefusedError(
            f"HighBit is {named} and BitsStored {geometry.bits_stored} in compressed or colour pixels; export the "
            f"scan uncompressed and in grey, or with HighBit {lowest}"
        )
    return named


def only_stored_bits(stored: NDArray[Any], dataset: Dataset, geometry: Geometry, high: int) -> NDArray[Any]:
    """The value of each sample without the bits around it, which may hold anything, such as an overlay.

    Args:
        stored: words as they were decoded, signed where Pixel Representation is 1.
        dataset: the data set they come from.
        geometry: its geometry.
        high: `high_bit` of it.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    exact = syntax in _EXACT or not syntax.is_encapsulated
    if geometry.samples > 1 or stored.dtype.kind == "f" or not exact:
        return stored
    width = 8 * stored.dtype.itemsize
    if geometry.bits_allocated == 1 or geometry.bits_stored == width:
        return stored
    # To the top of the word and back down: what was above falls out, and the sign fills what is free.
    return (stored << (width - 1 - high)) >> (width - geometry.bits_stored)
