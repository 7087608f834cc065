"""Pixels that only fill an image up to a rectangle (PS3.3 C.7.5.1.1.2), as stored values."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from medmeta.scans.attributes import attribute, holds

#: The padding value and the other end of its range, by the element that holds the pixels (C.7.5.1.1.2, C.7.6.24).
_WORDS = {
    "PixelData": ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    "FloatPixelData": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "DoubleFloatPixelData": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}
#: Every tag that `stored_padding` reads.
PADDING_TAGS = tuple(word for pair in _WORDS.values() for word in pair)


def stored_padding(dataset: Dataset, bits_stored: int) -> tuple[float, float] | None:
    """Lowest and highest stored value that is padding; None where the file names none or nothing usable.

    A value written with the wrong sign (63536 for -2000 in signed pixels) means the same bits.
    """
    for home, (value_word, limit_word) in _WORDS.items():
        if not holds(dataset, home):
            continue
        value, limit = (_number(attribute(dataset, word)) for word in (value_word, limit_word))
        if value is None:
            return None
        ends = [value, value if limit is None else limit]
        if home == "PixelData":
            signed = attribute(dataset, "PixelRepresentation") == 1
            ends = [_as_stored(end, bits_stored, signed=signed) for end in ends]
            if max(map(abs, ends)) >= 2**32:  # no stored value is
                return None
        return min(ends), max(ends)
    return None


def _as_stored(value: float, bits: int, *, signed: bool) -> float:
    low = -(2 ** (bits - 1)) if signed else 0
    if low <= value < low + 2**bits:
        return value
    # The element itself has 16 bits, whatever the pixels have.
    if signed and value > 0:
        return value - 2**16
    return value + 2**16 if not signed and value < 0 else value


def _number(value: object) -> float | None:
    if isinstance(value, bytes):  # "US or SS" that the parser could not tell apart
        value = int.from_bytes(value[:2], "little") if len(value) >= 2 else None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
