"""How a file asks to be shown: window functions and VOI LUTs, against pydicom's own and values worked out by hand."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from dicom_files import KEY, dataset, dicom, encoded, gradient
from pydicom.dataset import Dataset
from pydicom.pixels import apply_voi_lut, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from medmeta.scans.dicom import read_dicom
from medmeta.scans.display import default_window, render
from medmeta.scans.intensity import model_image
from medmeta.scans.scan import Scan, VoiTable


def read(made: Dataset) -> Scan:
    return read_dicom(encoded(made), "IM1", key=KEY)


def with_table(
    stored: np.ndarray, entries: list[int], first: int, bits: int, **tags: object
) -> pydicom.FileDataset:
    """A file whose VOI LUT maps ``first`` to the first of the entries."""
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    made = dataset(stored, VOILUTSequence=Sequence([item]), **tags)
    made.VOILUTSequence[0]["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    made.VOILUTSequence[0]["LUTData"].VR = "US"
    return made


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("window", [(40, 400), (-600.5, 1500), (10, 2)])
def test_each_window_function_equals_pydicoms(function: str, window: tuple[float, float]) -> None:
    values = np.arange(-2000, 2000).reshape(40, 100).astype("<i2")
    rules = {"WindowCenter": window[0], "WindowWidth": window[1], "VOILUTFunction": function}
    scan = read(dataset(values, **rules))
    assert scan.window_function == function
    like = Dataset()
    for word, value in rules.items():
        setattr(like, word, value)
    like.PhotometricInterpretation, like.PixelRepresentation = "MONOCHROME2", 1
    like.BitsStored = 8  # pydicom takes the output range from it: -128 to 127
    assert np.abs(render(scan) - (apply_windowing(values, like) + 128)).max() <= 0.5 + 1e-6


def test_sigmoid_by_hand_and_far_from_its_centre() -> None:
    scan = Scan("x", np.array([[[0, 100, 200, 32767, -32768]]], np.int16), "g", window_function="SIGMOID")
    # 255 / (1 + exp(-4 (x - 100) / 200)): 255 / (1 + e^2), the half, 255 / (1 + e^-2), and the two ends
    assert render(scan, window=(100.0, 200.0)).tolist() == [[30, 128, 225, 255, 0]]


def test_an_unknown_function_is_linear() -> None:
    assert (
        read(dataset(gradient(), WindowCenter=1, WindowWidth=9, VOILUTFunction="CUBIC")).window_function
        == "LINEAR"
    )


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian])
def test_a_voi_table_equals_pydicoms(syntax: str | None) -> None:
    stored = np.arange(-40, 60).reshape(10, 10).astype("<i2")
    entries = [int(value) for value in np.linspace(0, 4095, 64) ** 2 / 4095]
    made = with_table(stored, entries, first=-20, bits=12)
    if syntax:
        made.file_meta.TransferSyntaxUID = syntax
    expected = apply_voi_lut(stored, pydicom.dcmread(io.BytesIO(encoded(made)))) * (255 / 4095)
    scan = read(made)
    assert np.abs(render(scan) - expected).max() <= 0.5 + 1e-6
    assert default_window(scan) == (12.0, 64.0)
    np.testing.assert_array_equal(render(scan, window=default_window(scan)), render(scan))
    moved = render(scan, window=(12.0, 60.0))
    assert moved[0, 0] == 0
    assert not np.array_equal(moved, render(scan))


def test_a_table_of_bytes() -> None:
    """Eight-bit entries may come one to a byte (PS3.3 C.11.2.1.1)."""
    item = Dataset()
    item.LUTDescriptor = [3, 5, 8]
    item.add_new("LUTData", "OW", bytes([255, 7, 0, 0]))
    made = dataset(np.array([[4, 5], [6, 7]], "<u2"), VOILUTSequence=Sequence([item]))
    made.VOILUTSequence[0]["LUTDescriptor"].VR = "US"
    assert render(read(made)).tolist() == [[255, 255], [7, 0]]


def test_the_table_goes_before_the_window_until_that_is_moved() -> None:
    scan = read(with_table(gradient(), [65535, 0], first=0, bits=16, WindowCenter=0, WindowWidth=1000))
    assert default_window(scan) == (0.0, 1000.0)
    assert render(scan, window=(0.0, 1000.0))[0, 0] == 255
    assert render(scan, window=(0.0, 1001.0))[0, 0] < 5


def test_a_faulty_table_spoils_no_file() -> None:
    for faulty in (with_table(gradient(), [1, 2], 0, 40), with_table(gradient(), [1, 2], 0, 16)):
        if faulty.VOILUTSequence[0].LUTDescriptor[2] == 16:
            faulty.VOILUTSequence[0].LUTDescriptor = [3, 0, 16]
        scan = read(faulty)
        assert scan.voi_table is None
        np.testing.assert_array_equal(scan.pixels[0], gradient())


def test_a_frame_of_an_enhanced_object_has_its_own_window() -> None:
    made = dataset(np.stack([gradient()] * 3))
    items = []
    for centre in (10, 20, 30):
        window, item = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth, window.VOILUTFunction = centre, 100, "SIGMOID"
        item.FrameVOILUTSequence = Sequence([window])
        items.append(item)
    made.PerFrameFunctionalGroupsSequence = Sequence(items)
    scan = read(made)
    assert (scan.window, scan.window_function) == ((20.0, 100.0), "SIGMOID")


@pytest.mark.parametrize("shape", ["IDENTITY", "INVERSE"])
def test_presentation_lut_shape_inverts_nothing_twice(shape: str) -> None:
    """INVERSE says of MONOCHROME1 what the photometric interpretation says already (PS3.3 C.8.11.1)."""
    plain = read(dataset(gradient(), PhotometricInterpretation="MONOCHROME1"))
    shaped = read(dataset(gradient(), PhotometricInterpretation="MONOCHROME1", PresentationLUTShape=shape))
    np.testing.assert_array_equal(render(shaped), render(plain))
    np.testing.assert_array_equal(render(shaped), 255 - render(read(dataset(gradient()))))


def test_nothing_of_it_reaches_the_model() -> None:
    plain = read_dicom(dicom(gradient()), "x", key=KEY)
    shown = read(
        with_table(gradient(), [9, 0], 0, 8, WindowCenter=3, WindowWidth=5, VOILUTFunction="SIGMOID")
    )
    assert shown.voi_table == VoiTable(0, bytes([9, 0]))
    assert shown.id == plain.id
    np.testing.assert_array_equal(model_image(shown, 16), model_image(plain, 16))
