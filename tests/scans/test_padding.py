"""Padding stays in the pixels and counts in no range: values worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dicom_files import KEY, dataset, encoded, gradient
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from medmeta.scans.dicom import read_dicom
from medmeta.scans.display import default_window
from medmeta.scans.intensity import intensity_range, model_image
from medmeta.scans.scan import Scan


def read(made: Dataset) -> Scan:
    return read_dicom(encoded(made), "IM1", key=KEY)


def padded(value: int, kind: str = "<i2") -> np.ndarray:
    """The gradient with a border of ``value`` on its left half."""
    stored = gradient(kind=kind)
    stored[:, :10] = value
    return stored


def test_the_range_is_that_of_the_pixels_that_are_no_padding() -> None:
    stored = padded(-2000)
    scan = read(dataset(stored, PixelPaddingValue=-2000, RescaleSlope=2, RescaleIntercept=-1024))
    real = stored[:, 10:].astype(float) * 2 - 1024
    assert scan.padding == (-5024.0, -5024.0)
    assert intensity_range(scan) == tuple(np.percentile(real, (0.5, 99.5)))
    low, high = np.percentile(real, (0.5, 99.5))
    assert default_window(scan) == ((low + high) / 2 + 0.5, high - low + 1)
    np.testing.assert_array_equal(scan.pixels[0], stored.astype(int) * 2 - 1024)
    assert scan.id == read(dataset(stored, RescaleSlope=2, RescaleIntercept=-1024)).id
    image = model_image(scan, 48)
    assert image[0, 24, 2] == 0.0  # padding below the range is black
    assert image[0].std() > 2 * model_image(replace(scan, padding=None), 48)[0, :, 24:].std()


def test_a_range_of_padding() -> None:
    stored = gradient(kind="<u2")
    for limit, value in ((900, 990), (990, 900)):
        scan = read(dataset(stored, PixelPaddingValue=value, PixelPaddingRangeLimit=limit))
        assert scan.padding == (900.0, 990.0)
        np.testing.assert_array_equal(
            np.sort(scan.measured()), np.sort(stored[(stored < 900) | (stored > 990)])
        )


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_the_wrong_sign_means_the_same_bits(syntax: str | None) -> None:
    made = dataset(padded(-2000), PixelPaddingValue=-2000)
    if syntax:
        made.file_meta.TransferSyntaxUID = syntax
    else:
        made["PixelPaddingValue"].VR, made["PixelPaddingValue"].value = "US", 63536
    assert read(made).padding == (-2000.0, -2000.0)


@pytest.mark.parametrize(("words", "kind"), [("Float", "<f4"), ("DoubleFloat", "<f8")])
def test_float_pixels(words: str, kind: str) -> None:
    stored = gradient().astype(kind) / 7
    stored[:, :3] = -1e30
    made = dataset(gradient())
    del made.PixelData, made.BitsStored, made.HighBit, made.PixelRepresentation
    made.BitsAllocated = 8 * stored.itemsize
    setattr(made, f"{words}PixelData", stored.tobytes())
    setattr(made, f"{words}PixelPaddingValue", -1e30)
    scan = read(made)
    np.testing.assert_array_equal(scan.pixels[0], stored.astype(np.float32))
    assert scan.padding is not None
    assert intensity_range(scan)[0] > -100


def test_padding_that_no_pixel_has_changes_nothing() -> None:
    scan, plain = read(dataset(gradient(), PixelPaddingValue=-2000)), read(dataset(gradient()))
    assert scan.padding is None
    assert intensity_range(scan) == intensity_range(plain)


def test_a_frame_of_nothing_but_padding() -> None:
    scan = read(dataset(np.full((9, 9), 7, "<u2"), PixelPaddingValue=7))
    assert intensity_range(scan) == (7.0, 8.0)
    assert np.isfinite(model_image(scan, 8)).all()


def test_padding_under_a_rescale_of_its_own_frame() -> None:
    stored = np.stack([padded(-2000)] * 3)
    made = dataset(stored, PixelPaddingValue=-2000, Modality="PT")
    items = []
    for slope in (2.0, 0.25, 4.0):
        transformation, item = Dataset(), Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = (
            slope,
            0,
            "US",
        )
        item.PixelValueTransformationSequence = Sequence([transformation])
        items.append(item)
    made.PerFrameFunctionalGroupsSequence = Sequence(items)
    assert read(made).padding == (-500.0, -500.0)


def test_padding_under_a_modality_table() -> None:
    item = Dataset()
    item.LUTDescriptor, item.LUTData, item.ModalityLUTType = [3, 0, 16], [9, 100, 300], "US"
    made = dataset(
        np.array([[0, 1], [2, 1]], "<u2"), PixelPaddingValue=0, ModalityLUTSequence=Sequence([item])
    )
    made.ModalityLUTSequence[0]["LUTDescriptor"].VR = made.ModalityLUTSequence[0]["LUTData"].VR = "US"
    scan = read(made)
    assert scan.padding == (9.0, 9.0)
    assert sorted(scan.measured().tolist()) == [100, 100, 300]


@pytest.mark.parametrize(
    ("vr", "value"), [("OB", b""), ("OB", b"\1"), ("DS", "1e30"), ("DS", [1, 2]), ("LO", "no")]
)
def test_an_unusable_padding_value_is_no_padding(vr: str, value: object) -> None:
    made = dataset(gradient())
    made.add_new("PixelPaddingValue", vr, value)
    assert read(made).padding is None


def test_padding_that_is_no_number_is_none() -> None:
    made = dataset(gradient())
    made.FloatPixelData, made.BitsAllocated = gradient().astype("<f4").tobytes(), 32
    made.FloatPixelPaddingValue = float("nan")
    del made.PixelData, made.BitsStored, made.HighBit, made.PixelRepresentation
    assert read(made).padding is None
