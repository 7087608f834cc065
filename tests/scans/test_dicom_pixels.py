"""Pixel values against arrays made by hand and against other decoders."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from dicom_files import KEY, dataset, dicom, encoded, gradient
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from medmeta.errors import ScanRejectedError
from medmeta.scans.dicom import read_dicom
from medmeta.scans.scan import Scan


def read(data: bytes) -> Scan:
    return read_dicom(data, "IM1", key=KEY)


def bundled(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} is not in this pydicom")
    return Path(path).read_bytes()


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("kind", ["u1", "<u2", "<i2"])
def test_lossless_compression_changes_no_value(syntax: str, kind: str) -> None:
    stored = gradient(72, 68, kind) if kind != "u1" else (gradient(72, 68) % 251).astype("u1")
    made = dataset(stored)
    made.compress(syntax, generate_instance_uid=False)
    scan = read(encoded(made))
    np.testing.assert_array_equal(scan.pixels[0], stored)
    assert scan.transfer_syntax == syntax
    assert scan.id == read(dicom(stored)).id  # the id follows the values, not the encoding


@pytest.mark.parametrize("kind", ["u1", "<u2", "<i2"])
@pytest.mark.parametrize(
    "syntax", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"]
)
def test_files_another_library_compressed(syntax: str, kind: str, tmp_path: Path) -> None:
    stored = gradient(72, 68, kind) if kind != "u1" else (gradient(72, 68) % 251).astype("u1")
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(dicom(stored))
    source = gdcm.ImageReader()
    source.SetFileName(str(plain))
    assert source.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(source.GetImage())
    assert change.Change()
    sink = gdcm.ImageWriter()
    sink.SetFileName(str(packed))
    sink.SetFile(source.GetFile())
    sink.SetImage(change.GetOutput())
    assert sink.Write()
    np.testing.assert_array_equal(read(packed.read_bytes()).pixels[0], stored)


def test_native_encodings_agree() -> None:
    stored = gradient()
    implicit, big = dataset(stored), dataset(stored.astype(">i2"))
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    for made in (implicit, big):
        data = io.BytesIO()
        pydicom.dcmwrite(data, made, enforce_file_format=True)
        np.testing.assert_array_equal(read(data.getvalue()).pixels[0], stored)


def test_deflated_is_read() -> None:
    stored = gradient()
    plain = dicom(stored)
    body = plain.index(b"\x08\x00\x16\x00")
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    uid = b"1.2.840.10008.1.2.1.99"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    data = b"\0" * 128 + b"DICM" + meta + engine.compress(plain[body:]) + engine.flush()
    scan = read(data)
    np.testing.assert_array_equal(scan.pixels[0], stored)
    assert scan.transfer_syntax == uid.decode()


def test_file_without_preamble_is_read() -> None:
    stored = gradient()
    plain = dicom(stored)
    np.testing.assert_array_equal(read(plain[plain.index(b"\x08\x00\x16\x00") :]).pixels[0], stored)


@pytest.mark.parametrize(
    ("slope", "intercept", "kind"), [(1, -1024, np.int16), (40, 0, np.int32), (0.5, -3.25, np.float32)]
)
def test_rescale_gives_exact_values(slope: float, intercept: float, kind: type) -> None:
    stored = gradient(kind="<u2")
    stored[0, 0] = 4095
    scan = read(dicom(stored, RescaleSlope=slope, RescaleIntercept=intercept))
    assert scan.pixels.dtype == kind
    np.testing.assert_array_equal(scan.pixels[0].astype(float), stored * float(slope) + intercept)
    assert scan.unit == "HU"


def test_each_frame_of_an_enhanced_object_has_its_own_rescale() -> None:
    stored = np.stack([gradient(), gradient() + 1])
    made = dataset(stored, Modality="PT")
    items = []
    for slope in (2.0, 3.0):
        transformation = Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = (
            slope,
            5,
            "US",
        )
        item = Dataset()
        item.PixelValueTransformationSequence = Sequence([transformation])
        items.append(item)
    made.PerFrameFunctionalGroupsSequence = Sequence(items)
    scan = read(encoded(made))
    np.testing.assert_array_equal(scan.pixels, stored.astype(int) * np.array([2, 3])[:, None, None] + 5)
    assert scan.unit == ""


def test_modality_lookup_table() -> None:
    stored = np.array([[-5, 0], [1, 90]], "<i2")
    table = Dataset()
    table.LUTDescriptor = [3, -1, 16]
    table.LUTData = [100, 200, 60000]
    table.ModalityLUTType = "OD"
    made = dataset(stored, Modality="CR", ModalityLUTSequence=Sequence([table]))
    made.ModalityLUTSequence[0]["LUTDescriptor"].VR = "SS"
    made.ModalityLUTSequence[0]["LUTData"].VR = "US"
    scan = read(encoded(made))
    assert scan.pixels[0].tolist() == [[100, 200], [60000, 60000]]
    assert scan.unit == "OD"


def test_monochrome1_is_flagged_and_not_inverted() -> None:
    stored = gradient(kind="<u2")
    scan = read(dicom(stored, PhotometricInterpretation="MONOCHROME1"))
    assert scan.monochrome1
    np.testing.assert_array_equal(scan.pixels[0], stored)


def test_unused_high_bits_are_no_part_of_the_value() -> None:
    stored = gradient(kind="<u2")
    scan = read(dicom(stored | 0xF000, BitsStored=12, HighBit=11))
    np.testing.assert_array_equal(scan.pixels[0], stored)


def test_colour_of_16_bits_becomes_8() -> None:
    stored = np.array([[[0, 257, 65535]], [[128, 129, 32896]]], "<u2")
    scan = read(dicom(stored, Modality="XC"))
    assert scan.pixels.dtype == np.uint8
    assert scan.pixels[0].tolist() == [[[0, 1, 255]], [[0, 1, 128]]]


def test_palette_of_16_bit_entries() -> None:
    stored = np.array([[0, 1], [2, 9]], "u1")
    tags = {"PhotometricInterpretation": "PALETTE COLOR", "Modality": "US"}
    for colour, table in (("Red", [0, 255, 128]), ("Green", [1, 2, 3]), ("Blue", [9, 8, 7])):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [3, 0, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = (np.array(table, "<u2") << 8).tobytes()
    scan = read(dicom(stored, **tags))
    assert scan.pixels[0].tolist() == [[[0, 1, 9], [255, 2, 8]], [[128, 3, 7], [128, 3, 7]]]


def test_window_unit_and_tags() -> None:
    scan = read(
        dicom(
            gradient(),
            RescaleSlope=1,
            RescaleIntercept=0,
            WindowCenter=[40, 300],
            WindowWidth=[400, 1500],
            BodyPartExamined="CHEST",
            PixelSpacing=[0.5, 0.25],
            KVP=120,
        )
    )
    assert scan.window == (40.0, 400.0)
    assert scan.tags["PixelSpacing"] == "0.5\\0.25"
    assert (scan.tags["KVP"], scan.tags["BodyPartExamined"], scan.tags["Rows"]) == (120, "CHEST", 24)


@pytest.mark.parametrize(
    ("tags", "warned"),
    [
        ({"BurnedInAnnotation": "YES"}, True),
        ({}, False),
        ({"Modality": "US", "SOPClassUID": UltrasoundImageStorage}, True),
        ({"Modality": "CT", "SOPClassUID": SecondaryCaptureImageStorage}, True),
        ({"Modality": "US", "SOPClassUID": UltrasoundImageStorage, "BurnedInAnnotation": "NO"}, False),
    ],
)
def test_burned_in_text_is_asked_about(tags: dict[str, str], warned: bool) -> None:
    assert bool(read(dicom(gradient(), **tags)).warnings) == warned


@pytest.mark.parametrize("name", ["examples_palette.dcm", "examples_ybr_color.dcm", "SC_rgb_rle_2frame.dcm"])
def test_bundled_colour_equals_pydicom(name: str) -> None:
    data = bundled(name)
    source = pydicom.dcmread(io.BytesIO(data))
    expected = source.pixel_array
    if source.PhotometricInterpretation == "PALETTE COLOR":
        expected = pydicom.pixels.apply_color_lut(expected, source)
        expected = expected >> 8 if expected.dtype == np.uint16 else expected
    pixels = read(data).pixels
    np.testing.assert_array_equal(pixels, expected.reshape(pixels.shape))


def test_jpeg_baseline_colour_equals_pillow() -> None:
    data = bundled("examples_ybr_color.dcm")
    scan = read(data)
    source = pydicom.dcmread(io.BytesIO(data))
    if not source.file_meta.TransferSyntaxUID.is_compressed:
        pytest.skip("this pydicom ships the file uncompressed")
    frame = next(pydicom.encaps.generate_frames(source.PixelData, number_of_frames=scan.frames))
    expected = np.asarray(Image.open(io.BytesIO(frame)).convert("RGB")).astype(int)
    assert np.abs(scan.pixels[0].astype(int) - expected).mean() < 2.0


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_bigendian.dcm",
        "693_J2KI.dcm",
    ],
)
def test_bundled_grey_equals_gdcm(name: str) -> None:
    path = get_testdata_file(name, download=False)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    image = reader.GetImage()
    raw = image.GetBuffer().encode("utf-8", "surrogateescape")
    signed = image.GetPixelFormat().GetPixelRepresentation()
    stored = np.frombuffer(raw, "<i2" if signed else "<u2").astype(float)
    expected = stored * image.GetSlope() + image.GetIntercept()
    np.testing.assert_array_equal(read(bundled(name)).pixels.ravel(), expected)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtplan.dcm", "radiotherapy"),
        ("rtstruct.dcm", "radiotherapy"),
        ("test-SR.dcm", "structured report"),
        ("waveform_ecg.dcm", "no image"),
        ("liver_1frame.dcm", "segmentation"),
        ("MR_truncated.dcm", "cut short"),
        ("JPGExtended.dcm", "12-bit lossy JPEG"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(name: str, words: str) -> None:
    with pytest.raises(ScanRejectedError, match=words):
        read(bundled(name))
