"""DICOM objects that hold no scan, and what to call each."""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom.dataset import Dataset

from medmeta.scans.attributes import attribute, holds, registered
from medmeta.scans.refusal import RefusedError

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
DICOMDIR = "is a DICOMDIR, the index of a disc; choose the image files themselves"

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
#: What the standard's names of storage classes say (PS3.6 annex A), the first that fits; and what to call it.
_NOT_IMAGES = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"\bSR\b|^Key Object|^Procedure Log|Report Storage", "a structured report"),
        (r"^RT Dose", "a radiotherapy dose grid"),
        (r"^RT (?!Image)|Radiation (Record )?Storage$", "a radiotherapy object"),
        (r"^Encapsulated", "a document wrapped in DICOM"),
        (r"Segmentation Storage|^Label Map", "a segmentation, which marks a scan but is none"),
        (r"^(?!.*\bSR\b).*Waveform", "a waveform, such as an ECG"),
        (r"Presentation State", "a presentation state, which tells how to show another file"),
        (r"^Color Palette", "a colour palette"),
        (r"Spectroscopy", "a set of spectra"),
        (r"Registration|Fiducials", "a registration of other files"),
        (r"Measurements? Storage|^Real World Value", "a set of measurements"),
    )
)


def check_is_image(dataset: Dataset, announced: str | None) -> None:
    """Refuse what is no scan, by its SOP Class UID, and what has no pixels.

    Args:
        dataset: the data set as parsed.
        announced: Media Storage SOP Class UID. Of a file cut inside its compressed pixels the parser keeps
            nothing, but the file meta still says what it was.

    Raises:
        RefusedError: with what the file is.
    """
    uid = str(attribute(dataset, "SOPClassUID") or announced or "")
    if uid == DICOMDIR_CLASS:
        raise RefusedError(DICOMDIR)
    what, name = _object(uid)
    if what is not None:
        raise RefusedError(f"is not an image but {what}")
    if any(holds(dataset, word) for word in PIXELS):
        return
    if (holds(dataset, "Rows") and holds(dataset, "Columns")) or "Image Storage" in name:
        raise RefusedError(
            "ends before its pixel data: it is cut short or was saved without its pixels; export or copy the file again"
        )
    kind = f" ({name})" if name else ""
    raise RefusedError(
        f"is not an image: it is DICOM without pixels{kind}; choose the image files themselves"
    )


@lru_cache(maxsize=256)
def _object(uid: str) -> tuple[str | None, str]:
    """What to call an object that is no image, None for others; and the standard's name of its class, or nothing."""
    kind, name = registered(uid)
    name = name if kind == "SOP Class" else ""
    return next((what for pattern, what in _NOT_IMAGES if pattern.search(name)), None), name
