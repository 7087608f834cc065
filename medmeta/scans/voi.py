"""How a file asks to be shown: window, its curve, and the VOI LUT (PS3.3 C.11.2). Nothing here reaches the model."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from medmeta.scans.attributes import attribute, holds
from medmeta.scans.enhanced import functional_group
from medmeta.scans.refusal import RefusedError
from medmeta.scans.scan import WINDOW_FUNCTIONS, VoiTable
from medmeta.scans.values import lut_table


def voi_window(dataset: Dataset, frame: int) -> tuple[float, float] | None:
    """First window centre and width (PS3.3 C.11.2.1.2) of the data set or of one frame; None if unusable."""
    home = _home(dataset, frame)
    try:
        centre, width = (float(_first(attribute(home, word))) for word in ("WindowCenter", "WindowWidth"))
    except (TypeError, ValueError):
        return None
    return (centre, width) if abs(centre) < 1e9 and 0 < width < 1e9 else None


def window_function(dataset: Dataset, frame: int) -> str:
    """VOI LUT Function (0028,1056) of the data set or of one frame; LINEAR unless it names another (C.11.2.1.3)."""
    written = str(attribute(_home(dataset, frame), "VOILUTFunction") or "").strip().upper()
    return written if written in WINDOW_FUNCTIONS else "LINEAR"


def voi_table(dataset: Dataset, little_endian: bool = True, *, negative: bool = False) -> VoiTable | None:
    """The first item of the VOI LUT Sequence (0028,3010), its entries scaled to a byte; None if unusable.

    A faulty table spoils no pixel, so the file is read without it. Where some pixels are ``negative``, the first
    value mapped is a signed number even if the file's parser could not know (C.11.2.1.1).
    """
    items = attribute(dataset, "VOILUTSequence")
    if not items:
        return None
    try:
        table, first, bits = lut_table(items[0], little_endian)
    except RefusedError:
        return None
    if not 8 <= bits <= 16:
        return None
    if negative and first >= 2**15:
        first -= 2**16
    shades = np.rint(np.minimum(table / (2.0**bits - 1), 1.0) * 255).astype(np.uint8)
    return VoiTable(first, shades.tobytes())


def _home(dataset: Dataset, frame: int) -> Dataset:
    """The data set where it names a window itself, else the frame's functional group (C.7.6.16.2.10)."""
    if holds(dataset, "WindowCenter"):
        return dataset
    item = functional_group(dataset, "FrameVOILUTSequence", frame)
    return Dataset() if item is None else item


def _first(value: object) -> str:
    if hasattr(value, "__getitem__") and not isinstance(value, str):
        value = value[0] if len(value) else None  # type: ignore[arg-type]
    return str(value)
