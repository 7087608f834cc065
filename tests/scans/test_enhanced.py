"""Where the pixels of an enhanced multi-frame object lie, by hand and on a real file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import dataset, encoded, gradient, read
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medmeta.scans.orientation import edge_letters, spacing

SAGITTAL = [0, 1, 0, 0, 0, -1]
CORONAL = [1, 0, 0, 0, 0, -1]


def group(
    *, pixel: list[float] | None = None, position: list[float] | None = None, axes: list[float] | None = None
) -> Dataset:
    """An item of functional groups with what is named."""
    item = Dataset()
    for macro, keyword, value in (
        ("PixelMeasuresSequence", "PixelSpacing", pixel),
        ("PlanePositionSequence", "ImagePositionPatient", position),
        ("PlaneOrientationSequence", "ImageOrientationPatient", axes),
    ):
        if value is not None:
            inner = Dataset()
            setattr(inner, keyword, value)
            setattr(item, macro, Sequence([inner]))
    return item


def enhanced(shared: Dataset | None, *frames: Dataset, **elements: object) -> Dataset:
    made = dataset(np.stack([gradient() + n for n in range(len(frames))]), Modality="MR", **elements)
    if shared is not None:
        made.SharedFunctionalGroupsSequence = Sequence([shared])
    made.PerFrameFunctionalGroupsSequence = Sequence(list(frames))
    return made


def test_shared_geometry_gives_letters_and_millimetres() -> None:
    frames = (group(position=[-80, -90, 100]), group(position=[-75, -90, 100]))
    scan = read(encoded(enhanced(group(pixel=[0.5, 0.75], axes=SAGITTAL), *frames)))
    assert edge_letters(scan.tags) == ("A", "P", "H", "F")
    assert spacing(scan.tags) == ((0.5, 0.75), False)
    assert "ImagePositionPatient" not in scan.tags  # each frame has its own


def test_what_differs_between_frames_is_not_told() -> None:
    two_planes = (group(pixel=[1, 1], axes=SAGITTAL), group(pixel=[1, 1], axes=CORONAL))
    scan = read(encoded(enhanced(None, *two_planes)))
    assert edge_letters(scan.tags) is None
    assert spacing(scan.tags) == ((1.0, 1.0), False)
    missing = read(encoded(enhanced(None, group(axes=CORONAL), group())))
    assert edge_letters(missing.tags) is None
    # A frame's own item goes before the shared one.
    own = read(encoded(enhanced(group(axes=CORONAL), group(axes=SAGITTAL), group(axes=SAGITTAL))))
    assert edge_letters(own.tags) == ("A", "P", "H", "F")


def test_a_single_frame_has_its_position_too() -> None:
    scan = read(encoded(enhanced(group(axes=CORONAL), group(position=[1, -2, 3.5]))))
    assert scan.tags["ImagePositionPatient"] == "1\\-2\\3.5"


@pytest.mark.parametrize("axes", [[1, 0, 0], [1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]])
def test_directions_that_are_none_give_no_letters(axes: list[float]) -> None:
    assert edge_letters(read(encoded(enhanced(None, group(axes=axes)))).tags) is None


def test_a_real_enhanced_ct() -> None:
    path = get_testdata_file("eCT_Supplemental.dcm", download=False)
    assert path is not None
    scan = read(Path(path).read_bytes())
    assert scan.frames == 2
    assert spacing(scan.tags) == ((0.388672, 0.388672), False)
    assert edge_letters(scan.tags) == ("L", "R", "A", "P")  # its rows run to the right of the patient
