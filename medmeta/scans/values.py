"""From stored values to real ones: modality LUT and rescale (PS3.3 C.11.1), palette and colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from medmeta.scans.attributes import attribute, holds
from medmeta.scans.refusal import RefusedError

_INTEGERS = (np.int16, np.uint16, np.int32, np.uint32)


@dataclass(frozen=True)
class Rescale:
    """``value = stored * slope + intercept`` (PS3.3 C.11.1.1.2)."""

    slope: float = 1.0
    intercept: float = 0.0


def narrowest(pixels: NDArray[Any]) -> NDArray[Any]:
    """Integers in the first of int16, uint16, int32, uint32 that holds them all; other values as float32.

    The type follows from the values alone, so one image has one id however it was encoded.

    Raises:
        RefusedError: float32 does not hold a value or the range of all (beyond 3.4e38).
    """
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            single = pixels.astype(np.float32, copy=False)
            extent = np.ptp(single)
        if not np.isfinite(extent):
            raise RefusedError(
                "some of its values are beyond what 32-bit floats hold; export the scan again in a unit of smaller "
                "numbers"
            )
        return single
    if np.can_cast(pixels.dtype, _INTEGERS[0]):  # without a look at the values
        return pixels.astype(_INTEGERS[0], copy=False)
    low, high = int(pixels.min()), int(pixels.max())
    for kind in _INTEGERS:
        span = np.iinfo(kind)
        if span.min <= low and high <= span.max:
            return pixels.astype(kind, copy=False)
    return pixels.astype(np.float32)


def rescaled(frames: NDArray[Any], rescales: Sequence[Rescale]) -> NDArray[Any]:
    """Apply one rescale to all frames, or one to each: whole factors stay whole numbers, others float32.

    Args:
        frames: (frames, rows, columns) stored values.
        rescales: one entry, or as many as there are frames.

    Raises:
        RefusedError: a slope or intercept that is no number, or a slope of zero.
    """
    for each in rescales:
        if not (np.isfinite(each.slope) and np.isfinite(each.intercept)) or each.slope == 0:
            raise RefusedError("its rescale slope or intercept is not usable; export the scan again")
    if all(each == Rescale() for each in rescales):
        return frames
    per_frame = list(rescales) * len(frames) if len(rescales) == 1 else list(rescales)
    whole = frames.dtype.kind in "iu" and all(
        each.slope.is_integer() and each.intercept.is_integer() for each in rescales
    )
    low, high = int(frames.min()), int(frames.max())
    ends = [end * each.slope + each.intercept for each in rescales for end in (low, high)]
    whole = whole and max(map(abs, ends)) < 2**31 - 1
    result = np.empty(frames.shape, np.int32 if whole else np.float32)
    # A slope of one, as of nearly every CT, needs no room for products.
    plain = whole and all(each.slope == 1 for each in rescales) and max(map(abs, (low, high))) < 2**31
    for place, (frame, each) in enumerate(zip(frames, per_frame, strict=True)):
        if plain:
            np.add(frame, np.int32(each.intercept), out=result[place], dtype=np.int32, casting="unsafe")
        elif whole:
            np.add(
                frame.astype(np.int64) * int(each.slope),
                int(each.intercept),
                out=result[place],
                casting="unsafe",
            )
        else:
            result[place] = frame.astype(np.float64) * each.slope + each.intercept
    return result


def looked_up(frames: NDArray[Any], item: Dataset, little_endian: bool = True) -> NDArray[Any]:
    """Apply the item of a Modality LUT Sequence (PS3.3 C.11.1.1.1).

    Raises:
        RefusedError: the table does not match its descriptor.
    """
    table, first, _ = lut_table(item, little_endian)
    return _through(frames, table, len(table), first)


def lut_table(item: Dataset, little_endian: bool = True) -> tuple[NDArray[np.uint16], int, int]:
    """Entries, first value mapped and bits an entry of a Modality or VOI LUT (PS3.3 C.11.1.1, C.11.2.1.1).

    Raises:
        RefusedError: the table does not match its descriptor.
    """
    entries, first, bits = _descriptor(attribute(item, "LUTDescriptor"))
    data = attribute(item, "LUTData")
    if isinstance(data, bytes):
        # 8-bit entries come one to a byte or one to a 16-bit word.
        narrow = bits <= 8 and entries <= len(data) < 2 * entries
        table = np.frombuffer(data, np.uint8 if narrow else "<u2" if little_endian else ">u2")
    else:
        table = np.atleast_1d(np.asarray(data))
    if len(table) < entries or table.dtype.kind not in "iu":
        raise RefusedError("its lookup table is shorter than its descriptor says; export the scan again")
    return table[:entries].astype(np.uint16), first, bits


def palette_to_rgb(frames: NDArray[Any], dataset: Dataset, little_endian: bool = True) -> NDArray[np.uint8]:
    """Palette colour to 8-bit RGB, (frames, rows, columns, 3) (PS3.3 C.7.6.3.1.5, C.7.9).

    Raises:
        RefusedError: a table does not match its descriptor.
    """
    if holds(dataset, "SegmentedRedPaletteColorLookupTableData") and not holds(
        dataset, "RedPaletteColorLookupTableData"
    ):
        return to_8_bit(apply_color_lut(frames, dataset)[..., :3], 0)
    channels = []
    for colour in ("Red", "Green", "Blue"):
        entries, first, bits = _descriptor(attribute(dataset, f"{colour}PaletteColorLookupTableDescriptor"))
        data = attribute(dataset, f"{colour}PaletteColorLookupTableData")
        if not isinstance(data, bytes) or len(data) < entries:
            raise RefusedError("its colour palette is missing or cut short; export the scan again")
        # 8-bit entries come one to a byte or one to a 16-bit word (C.7.6.3.1.6).
        in_words = len(data) >= 2 * entries
        table = np.frombuffer(data, ("<u2" if little_endian else ">u2") if in_words else np.uint8)[:entries]
        channels.append(_through(frames, table if bits <= 8 else table >> 8, entries, first).astype(np.uint8))
    return np.stack(channels, axis=-1)


def partial_to_rgb(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """YBR_PARTIAL samples to RGB, uint8 (..., 3): luminance spans 16 to 235, colour 16 to 240 (ITU-R BT.601)."""
    y, cb, cr = (
        samples[..., channel].astype(np.float32) - zero for channel, zero in enumerate((16, 128, 128))
    )
    red, blue = 1.1644 * y + 1.5960 * cr, 1.1644 * y + 2.0173 * cb
    green = 1.1644 * y - 0.3917 * cb - 0.8130 * cr
    rgb: NDArray[np.uint8] = np.clip(np.rint(np.stack([red, green, blue], -1)), 0, 255).astype(np.uint8)
    return rgb


def to_8_bit(pixels: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Unsigned colour samples of ``bits`` bits to 0-255, rounded; 0 takes the type's own width."""
    bits = bits or 8 * pixels.dtype.itemsize
    if bits == 8 and pixels.dtype.itemsize == 1:
        return pixels.astype(np.uint8, copy=False)
    scaled = np.rint(pixels.astype(np.float32) * np.float32(255.0 / (2**bits - 1)))
    eight: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return eight


def _descriptor(value: object) -> tuple[int, int, int]:
    try:
        entries, first, bits = (int(part) for part in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise RefusedError("its lookup table has no usable descriptor; export the scan again") from None
    return entries or 2**16, first, bits


def _through(frames: NDArray[Any], table: NDArray[Any], entries: int, first: int) -> NDArray[Any]:
    """Values below the first mapped one take the first entry, those beyond the end the last."""
    if len(table) < entries:
        raise RefusedError("its lookup table is shorter than its descriptor says; export the scan again")
    wide = np.int64 if frames.dtype.itemsize > 2 else np.int32
    places = np.clip(frames.astype(wide) - first, 0, entries - 1)
    mapped: NDArray[Any] = np.take(table, places)
    return mapped
