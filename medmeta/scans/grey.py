"""Stored greyscale to real values, with their unit, padding and the way the file asks to be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import XRayAngiographicImageStorage, XRayRadiofluoroscopicImageStorage

from medmeta.scans import enhanced, terms
from medmeta.scans.attributes import attribute, holds
from medmeta.scans.deidentify import PERMITTED_TAGS
from medmeta.scans.padding import stored_padding
from medmeta.scans.scan import VoiTable
from medmeta.scans.values import Rescale, looked_up, narrowest, rescaled
from medmeta.scans.voi import voi_table, voi_window, window_function

_X_RAY = (XRayAngiographicImageStorage, XRayRadiofluoroscopicImageStorage)


@dataclass(frozen=True)
class Grey:
    """Greyscale pixels, ``(frames, rows, columns)``, and what a `Scan` tells of them under the same names."""

    pixels: NDArray[Any]
    unit: str
    padding: tuple[float, float] | None
    window: tuple[float, float] | None
    window_function: str
    voi_table: VoiTable | None


def grey_values(stored: NDArray[Any], dataset: Dataset, *, little_endian: bool = True) -> Grey:
    """Modality LUT or rescale (PS3.3 C.11.1), each frame's own where it has one.

    Window and padding are those of the central frame.

    Args:
        stored: ``(frames, rows, columns)`` stored values.
        dataset: the data set they come from.
        little_endian: byte order of tables that are held as bytes.

    Raises:
        RefusedError: a modality LUT or rescale that is not usable.
    """
    central = (len(stored) - 1) // 2
    as_stored = _leads_back_to_intensity(dataset)
    if not as_stored and (table := attribute(dataset, "ModalityLUTSequence")):
        item = table[0]
        pixels, unit = (
            looked_up(stored, item, little_endian),
            _unit(str(attribute(item, "ModalityLUTType") or "")),
        )

        def real(values: NDArray[Any]) -> NDArray[Any]:
            return looked_up(values, item, little_endian)
    else:
        rescales = None if as_stored else enhanced.rescales(dataset, len(stored))
        pixels = stored if rescales is None else rescaled(stored, rescales)
        written = "" if as_stored else enhanced.rescale_type(dataset).strip()
        unit = _unit(written or str(attribute(dataset, "Units") or ""))
        if attribute(dataset, "Modality") == "CT":
            # A CT need not name Hounsfield units, but must name others; a localizer has none (C.8.2.1, C.11.1.1.2).
            if _is_localizer(dataset):
                unit = "" if unit == "HU" else unit
            elif not written and rescales is not None:
                unit = "HU"
        own = (rescales or [Rescale()])[central if len(rescales or ()) > 1 else 0]

        def real(values: NDArray[Any]) -> NDArray[Any]:
            return rescaled(values, [own])

    pixels = narrowest(pixels)
    return Grey(
        pixels=pixels,
        unit=unit,
        padding=_padding(pixels[central], stored.dtype, dataset, real),
        window=voi_window(dataset, central),
        window_function=window_function(dataset, central),
        voi_table=voi_table(
            dataset, little_endian, negative=holds(dataset, "VOILUTSequence") and bool(pixels.min() < 0)
        ),
    )


def _padding(
    frame: NDArray[Any], kind: np.dtype[Any], dataset: Dataset, real: Callable[[NDArray[Any]], NDArray[Any]]
) -> tuple[float, float] | None:
    """The range of padding among real values; None where no pixel of the frame lies in it."""
    ends = stored_padding(dataset, int(attribute(dataset, "BitsStored") or 8 * kind.itemsize))
    if ends is None:
        return None
    values = real(np.array([[ends]], np.int64 if kind.kind in "iu" else np.float64))
    if frame.dtype.kind == "f":
        values = values.astype(np.float32)  # as the pixels were rounded
    low, high = sorted(float(value) for value in values.flat)
    return (low, high) if ((frame >= low) & (frame <= high)).any() else None


def _leads_back_to_intensity(dataset: Dataset) -> bool:
    """Whether the modality LUT or rescale of an XA or XRF image makes X-ray intensities of values not linear to them.

    It is for computing: the window is one of stored values (PS3.3 C.8.7.1.1.2, PS3.4 N.2.5).
    """
    if attribute(dataset, "SOPClassUID") not in _X_RAY:
        return False
    return str(attribute(dataset, "PixelIntensityRelationship") or "").strip().upper() in ("LOG", "DISP")


def _is_localizer(dataset: Dataset) -> bool:
    kinds = PERMITTED_TAGS["ImageType"](attribute(dataset, "ImageType"))
    return "LOCALIZER" in str(kinds).split("\\")


def _unit(written: str) -> str:
    word = written.strip().upper()
    return word if word in terms.UNITS - terms.NO_UNIT else ""
