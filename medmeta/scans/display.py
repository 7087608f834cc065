"""What the screen shows: window and level, inversion, thumbnails. Nothing here reaches the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medmeta.scans.png import png
from medmeta.scans.scan import Scan, VoiTable

#: (centre, width) in Hounsfield units, as radiology viewers name them; they mean nothing for other units.
PRESETS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "Soft tissue": (40.0, 400.0),
        "Lung": (-600.0, 1500.0),
        "Liver": (90.0, 150.0),
        "Bone": (480.0, 2500.0),
        "Brain": (40.0, 80.0),
    }
)
_PERCENTILES = (0.5, 99.5)


def default_window(scan: Scan) -> tuple[float, float]:
    """(centre, width) to show a scan with at first, in ``scan.unit``.

    The file's own window, or all values that its VOI LUT tells apart; else, for 8-bit pictures and colour, the
    full range; else a window from the 0.5th to the 99.5th percentile of the central frame, padding left out.
    """
    if scan.window is not None:
        return scan.window
    if scan.voi_table is not None:
        entries = len(scan.voi_table.shades)
        return scan.voi_table.first + entries / 2, float(entries)
    if scan.pixels.dtype == np.uint8:
        return 128.0, 256.0
    values = scan.measured()
    low, high = (float(value) for value in np.percentile(values, _PERCENTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f":
        return (low + high) / 2, max(high - low, 1e-6)
    return (low + high) / 2 + 0.5, high - low + 1


def render(
    scan: Scan, *, frame: int = 0, window: tuple[float, float] | None = None, invert: bool = False
) -> NDArray[np.uint8]:
    """One frame as the screen shows it.

    Greyscale goes through the file's window function: LINEAR (PS3.3 C.11.2.1.2.1), LINEAR_EXACT (C.11.2.1.3.2),
    which also stands in for LINEAR on float pixels and on widths below 1 where LINEAR is not defined, or
    SIGMOID (C.11.2.1.3.1). At the default window a file's VOI LUT (C.11.2.1.1) is used instead. MONOCHROME1 is
    inverted once (which is what its Presentation LUT Shape INVERSE says too), ``invert`` inverts again. Colour
    ignores the window.

    Args:
        scan: any scan.
        frame: its position, 0 first.
        window: (centre, width); `default_window` where None.
        invert: show negative.

    Returns:
        uint8, (rows, columns) for greyscale or (rows, columns, 3).

    Raises:
        IndexError: there is no such frame.
        ValueError: the width is not above 0.
    """
    if not 0 <= frame < scan.frames:
        raise IndexError(f"frame {frame} was asked for, but {scan.file} has frames 0 to {scan.frames - 1}")
    values = scan.pixels[frame]
    if scan.is_colour:
        shown = np.array(values, dtype=np.uint8)
        return 255 - shown if invert else shown
    if scan.voi_table is not None and window in (None, default_window(scan)):
        shown = _through_table(values, scan.voi_table)
    else:
        centre, width = window if window is not None else default_window(scan)
        shown = _windowed(values, centre, width, scan.window_function)
    return 255 - shown if invert != scan.monochrome1 else shown


def thumbnail(scan: Scan, side: int = 96) -> bytes:
    """The central frame as a square PNG of ``side`` pixels, whole and undistorted, on black.

    Of a large frame every n-th pixel is read, twice as many a side as are shown: enough to see, and quick.
    """
    step = max(1, max(scan.rows, scan.columns) // (2 * side))
    frame = np.ascontiguousarray(scan.pixels[scan.central_frame][None, ::step, ::step])  # read once
    picture = Image.fromarray(render(replace(scan, pixels=frame)))
    picture.thumbnail((side, side), Image.Resampling.HAMMING)
    small = np.asarray(picture)
    square = np.zeros((side, side, *small.shape[2:]), np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return png(square)


def _through_table(values: NDArray[Any], table: VoiTable) -> NDArray[np.uint8]:
    places = np.rint(values).astype(np.int64) - table.first
    shades = np.frombuffer(table.shades, np.uint8)
    shown: NDArray[np.uint8] = np.take(shades, np.clip(places, 0, len(shades) - 1))
    return shown


def _windowed(values: NDArray[Any], centre: float, width: float, function: str) -> NDArray[np.uint8]:
    if not width > 0:
        raise ValueError(f"a window's width must be above 0, found {width}")
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2 and values.size:
        # The grey of every value there is, looked up: fewer values than pixels are quicker so.
        low, high = int(values.min()), int(values.max())
        if high - low < values.size:
            table = _curve(np.arange(low, high + 1), centre, width, function)
            shown: NDArray[np.uint8] = np.take(table, values.astype(np.int32) - low)
            return shown
    return _curve(values, centre, width, function)


def _curve(values: NDArray[Any], centre: float, width: float, function: str) -> NDArray[np.uint8]:
    real = values.astype(np.float64)
    if function == "SIGMOID":
        # Beyond 60 the curve is flat to the last bit; cut there, the exponential cannot overflow.
        steep = np.clip(4.0 * (real - centre) / width, -60.0, 60.0)
        return np.rint(255.0 / (1.0 + np.exp(-steep))).astype(np.uint8)
    exact = function == "LINEAR_EXACT" or values.dtype.kind == "f" or width < 1
    middle, span = (centre, width) if exact else (centre - 0.5, width - 1)
    level = real - middle
    if span == 0:
        return np.where(level > 0, 255, 0).astype(np.uint8)
    return np.rint(np.clip(level / span + 0.5, 0.0, 1.0) * 255).astype(np.uint8)
