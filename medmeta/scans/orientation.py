"""Where the rows and columns of a picture point in the patient, and how far apart its pixels lie."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medmeta.scans.scan import TagValue

Vector = NDArray[np.float64]

#: Towards +x, +y and +z of the patient, and away from them (PS3.3 C.7.6.2.1.1): left, posterior, head.
_TOWARDS, _AWAY = "LPH", "RAF"
#: A direction is named by every axis it follows by at least this cosine (20 degrees off).
_FOLLOWS = 0.342


def numbers(tags: Mapping[str, TagValue], keyword: str) -> tuple[float, ...] | None:
    """The numbers of a permitted tag that holds several (``"a\\b"``); None where it is absent."""
    value = tags.get(keyword)
    return None if value is None else tuple(float(part) for part in str(value).split("\\"))


def directions(tags: Mapping[str, TagValue]) -> tuple[Vector, Vector] | None:
    """Unit vectors along a row and down a column (Image Orientation, PS3.3 C.7.6.2.1.1); None where they are absent
    or not two directions at right angles."""
    cosines = tags.get("ImageOrientationPatient")
    return None if cosines is None else _axes(str(cosines))


@lru_cache(maxsize=256)  # slices of a stack share theirs, and pages ask at every click
def _axes(cosines: str) -> tuple[Vector, Vector] | None:
    both = np.array([float(part) for part in cosines.split("\\")]).reshape(2, 3)
    lengths = np.linalg.norm(both, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(both[0] @ both[1]) > 0.01:
        return None
    row, column = both / lengths[:, None]
    return row, column


def edge_letters(tags: Mapping[str, TagValue]) -> tuple[str, str, str, str] | None:
    """What lies at the left, right, top and bottom edge (``"R", "L", "A", "P"`` for an axial slice); None unknown.

    An oblique direction gets the letters of all axes it follows, the nearest first (PS3.3 C.7.6.1.1.1).
    """
    axes = directions(tags)
    if axes is None:
        return None
    row, column = axes
    return _letters(-row), _letters(row), _letters(-column), _letters(column)


def spacing(tags: Mapping[str, TagValue]) -> tuple[tuple[float, float], bool] | None:
    """(mm between rows, mm between columns), and whether that is at the detector instead of in the patient.

    Pixel Spacing (PS3.3 10.7.1.3), else Imager Pixel Spacing of a projection, which enlarges what is in the patient.
    Equal values of both are at the detector too: nothing corrected the one for the enlargement (10.7.1.1, 10.7.1.3).
    """
    uncorrected = numbers(tags, "PixelSpacing") == numbers(tags, "ImagerPixelSpacing")
    for keyword, detector in (("PixelSpacing", False), ("ImagerPixelSpacing", True)):
        found = numbers(tags, keyword)
        if found is not None and min(found) > 0 and 0.1 < found[0] / found[1] < 10:
            return (found[0], found[1]), detector or uncorrected
    return None


def _letters(direction: Vector) -> str:
    order = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    return "".join(
        (_TOWARDS if direction[axis] > 0 else _AWAY)[axis]
        for axis in order
        if abs(direction[axis]) >= _FOLLOWS
    )
