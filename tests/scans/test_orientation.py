"""Letters at the edges and millimetres between pixels, by hand."""

from __future__ import annotations

import pytest
from dicom_files import dicom, gradient, read

from medmeta.scans.orientation import edge_letters, spacing


@pytest.mark.parametrize(
    ("cosines", "letters"),
    [
        ("1\\0\\0\\0\\1\\0", ("R", "L", "A", "P")),  # axial, seen from the feet
        ("0\\1\\0\\0\\0\\-1", ("A", "P", "H", "F")),  # sagittal
        ("1\\0\\0\\0\\0\\-1", ("R", "L", "H", "F")),  # coronal
        ("0.8\\0.6\\0\\0\\0\\-1", ("RA", "LP", "H", "F")),  # oblique: 37 degrees off
        ("0.98\\0.198997\\0\\0\\0\\-1", ("R", "L", "H", "F")),  # 11 degrees off is not worth a letter
    ],
)
def test_edges(cosines, letters):
    assert edge_letters({"ImageOrientationPatient": cosines}) == letters


def test_nothing_is_said_where_nothing_is_known():
    assert edge_letters({}) is None
    assert edge_letters({"ImageOrientationPatient": "1\\0\\0\\1\\0\\0"}) is None
    assert spacing({"PixelSpacing": "0\\0"}) is None


def test_spacing_in_the_patient_goes_before_that_at_the_detector():
    assert spacing({"PixelSpacing": "0.5\\0.25", "ImagerPixelSpacing": "1\\1"}) == ((0.5, 0.25), False)
    assert spacing({"ImagerPixelSpacing": "0.14\\0.14"}) == ((0.14, 0.14), True)


def test_pixel_spacing_equal_to_that_at_the_detector_is_at_the_detector():
    same = read(
        dicom(gradient(), Modality="DX", PixelSpacing=[0.143, 0.143], ImagerPixelSpacing=[0.143, 0.143])
    )
    assert spacing(same.tags) == ((0.143, 0.143), True)
    corrected = read(
        dicom(gradient(), Modality="DX", PixelSpacing=[0.11, 0.11], ImagerPixelSpacing=[0.143, 0.143])
    )
    assert spacing(corrected.tags) == ((0.11, 0.11), False)
    assert spacing({"PixelSpacing": "0.5\\0.25"}) == ((0.5, 0.25), False)
