"""What the model sees: one intensity range a scan, fixed by the scan alone and never by the screen.

Moving the window in the viewer goes through :mod:`medmeta.scans.display` and cannot reach this file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medmeta.scans.scan import Scan

#: Greyscale values are spread between these percentiles of the frame, which survive hot pixels.
PERCENTILES = (0.5, 99.5)


def intensity_range(scan: Scan) -> tuple[float, float]:
    """The values that become black and white for the model, in ``scan.unit``.

    Colour and 8-bit pictures keep their full range of 0-255: their contrast was chosen by whoever exported
    them. Everything else spans the 0.5th to the 99.5th percentile of the central frame without its padding.
    """
    if scan.is_colour or (scan.transfer_syntax is None and scan.pixels.dtype == np.uint8):
        return 0.0, 255.0
    values = scan.measured()
    low, high = (float(v) for v in np.percentile(values, PERCENTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1.0)


def model_image(scan: Scan, side: int) -> NDArray[np.float32]:
    """The central frame as the model reads it.

    The whole frame is resized to a square (bicubic, antialiased), so nothing at a border is lost.

    Args:
        scan: any scan.
        side: rows and columns of the result, in pixels.

    Returns:
        ``(3, side, side)`` float32 in [0, 1]; greyscale is repeated over the three channels.
    """
    frame = scan.pixels[scan.central_frame]
    low, high = intensity_range(scan)
    values = (frame.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    np.clip(values, 0.0, 1.0, out=values)
    if scan.monochrome1:
        values = 1.0 - values
    planes = values[..., None] if values.ndim == 2 else values
    resized = [
        np.asarray(Image.fromarray(planes[..., c]).resize((side, side), Image.Resampling.BICUBIC))
        for c in range(planes.shape[2])
    ]
    square = np.clip(np.stack(resized), 0.0, 1.0).astype(np.float32, copy=False)
    return np.ascontiguousarray(np.repeat(square, 3, axis=0) if len(resized) == 1 else square)
