"""What the numbers of a greyscale image are in, and which of its tables make them, by the standard's clauses."""

from __future__ import annotations

import pytest
from dicom_files import dicom, gradient, read


@pytest.mark.parametrize(
    ("written", "image_type", "modality", "unit"),
    [
        (None, "AXIAL", "CT", "HU"),
        ("HU", "AXIAL", "CT", "HU"),
        ("US", "AXIAL", "CT", ""),  # unspecified
        ("KEV OF OURS", "AXIAL", "CT", ""),
        (None, "LOCALIZER", "CT", ""),
        ("HU", "LOCALIZER", "CT", ""),
        (None, "AXIAL", "MR", ""),
    ],
)
def test_hounsfield_units_are_said_of_ct_slices_only(
    written: str | None, image_type: str, modality: str, unit: str
) -> None:
    """PS3.3 C.8.2.1: Rescale Type is required where it is not HU, and a localizer is in no such units."""
    tags = {"RescaleType": written} if written else {}
    data = dicom(
        gradient(),
        Modality=modality,
        ImageType=["ORIGINAL", "PRIMARY", image_type],
        RescaleSlope=1,
        RescaleIntercept=-1024,
        **tags,
    )
    assert read(data).unit == unit
