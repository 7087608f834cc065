"""Pixel values against arrays made by hand and against other decoders."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from dicom_files import bundled, dataset, dicom, encoded, gradient, read
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    HTJ2K,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from medmeta.errors import ScanRejectedError


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


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_where_the_quickest_decoder_fails_the_others_are_asked(
    syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    as_array = Decoder.as_array

    def failing(self: Decoder, *arguments: object, decoding_plugin: str = "", **options: object) -> object:
        asked.append(decoding_plugin)
        if decoding_plugin:
            raise RuntimeError("this decoder fails")
        return as_array(self, *arguments, **options)

    monkeypatch.setattr(Decoder, "as_array", failing)
    pixels = gradient(72, 68, "<u2")
    made = dataset(pixels)
    made.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(read(encoded(made)).pixels[0], pixels)
    assert asked == [{JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}[syntax], ""]


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


#: 16 x 12 pixels as OpenJPH 0.26.3 packs them without loss.
HTJ2K_GREY = (
    "/0//UQApQAAAAAAMAAAAEAAAAAAAAAAAAAAADAAAABAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJ"
    "CQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAHMAAf+TwAAmRf4FB3QAAMAAEsAAEwCYAQd0ANr+Agd0AMAAEcAAE4Ab"
    "cwBs2f4AY1QAwAAVEAAFSKYx5pfgC3UAsjLZwBCAjLYAwAAq4AAVwAAAAADep6enwncATsdxHOf8AAj2EIHsuQD/2Q=="
)
HTJ2K_RGB = (
    "/0//UQAvQAAAAAAMAAAAEAAAAAAAAAAAAAAADAAAABAAAAAAAAAAAAADBwEBBwEBBwEB/1AACAACAAAAA/9SAAwAAgABAQUEBEAB/1wAEyBQWF"
    "hYWFhYWFhYWFhYUFBQ/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAR4AAf+TwBKArwEHdADAEoDPAId0AMASAABHdAAAAADACWAE"
    "oOgAh3QA7AAHdADACWAEoLsBB3QA8ADHdADACWAEoM0BB3QAogEHdADACOAEoAETANT+M1MAwAkgBIDkK3MAiBNTAMAJIATA9itzAFDoACNUAM"
    "AKqAE8AIzADMD6B/uw/bYAKv3AJIy1AMKTAMAKiAEocYzxl+ALdQDyw4y0AMAKiAFQda31l+ALdQCmMcAAAIy2AMAVUAWhAFWAkiRJ3qenp0J3"
    "AAAACAoEX1fB88l55Kij6wAAAAByU5KclCPpAMAVcATAVVVVVd6np6fCdwDA/A66lQDAFXAFWHd3d3fep6enwncAEAAA/vwM98nstwD/2Q=="
)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000(syntax: str) -> None:
    row, column = np.mgrid[:16, :12]
    grey, colour = row * 40 + column * 9, np.stack([row * 9, column * 12, row + column], -1)
    for expected, stream, kind in ((grey, HTJ2K_GREY, "<u2"), (colour, HTJ2K_RGB, "u1")):
        made = dataset(expected.astype(kind))
        made.file_meta.TransferSyntaxUID = syntax
        made.PixelData = encapsulate([base64.b64decode(stream)])
        scan = read(encoded(made))
        np.testing.assert_array_equal(scan.pixels[0], expected)
        assert scan.transfer_syntax == syntax


def test_partial_range_colour() -> None:
    """Two pixels share their colour (PS3.3 of 2016, C.7.6.3.1.2): black and white, then red and what is darker."""
    made = dataset(np.zeros((1, 4, 3), "u1"), PhotometricInterpretation="YBR_PARTIAL_422", Modality="US")
    made.PixelData = bytes([16, 235, 128, 128, 81, 16, 90, 240])  # Y Y Cb Cr
    assert read(encoded(made)).pixels[0].tolist() == [[[0, 0, 0], [255, 255, 255], [254, 0, 0], [179, 0, 0]]]
    with pytest.raises(ScanRejectedError, match="cut short"):
        read(encoded(made)[:-2])


@pytest.mark.parametrize("bits", [1, 5, 8, 12, 16, 24, 32])
@pytest.mark.parametrize("signed", [False, True])
def test_every_depth_and_sign(bits: int, signed: bool) -> None:
    """The lowest and the highest value of the depth, and what lies beside zero."""
    ends = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, -1, 0] if signed else [0, 2**bits - 1, 1, 0]
    size = 1 if bits <= 8 else 2 if bits <= 16 else 4
    # Bits above those stored are filled, to show that they are no part of the value (PS3.5 8.1.1).
    garbage = 0 if bits in (8, 16, 32) else 2 ** (8 * size) - 2**bits
    stored = (np.array([ends]) % 2**bits | garbage).astype(f"<u{size}")
    made = dataset(stored, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=int(signed))
    assert read(encoded(made)).pixels.tolist() == [[ends]]


def test_single_bit_pixels_are_packed() -> None:
    made = dataset(np.zeros((2, 3), "u1"), BitsAllocated=1, BitsStored=1, HighBit=0)
    made.PixelData = bytes([0b00101101, 0])  # the lowest bit is the first pixel (PS3.5 8.1.1)
    assert read(encoded(made)).pixels.tolist() == [[[1, 0, 1], [1, 0, 1]]]


def test_segmented_palette_by_hand() -> None:
    """Discrete, linear and indirect segments (PS3.3 C.7.9.2)."""
    made = dataset(
        np.arange(8, dtype="u1").reshape(2, 4), PhotometricInterpretation="PALETTE COLOR", Modality="US"
    )
    # two entries 0 and 10, then a line of three to 40, then the line again to 40 (flat)
    segments = np.array([0, 2, 0, 10 << 8, 1, 3, 40 << 8, 2, 1, 4, 0], "<u2").tobytes()
    for colour in ("Red", "Green", "Blue"):
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [8, 0, 16])
        setattr(made, f"Segmented{colour}PaletteColorLookupTableData", segments)
    assert read(encoded(made)).pixels[0, ..., 0].tolist() == [[0, 10, 20, 30], [40, 40, 40, 40]]


def test_overlays_are_ignored() -> None:
    made = dataset(gradient(kind="<u2") % 4096, BitsStored=12, HighBit=11)
    made.add_new(0x60000010, "US", 24)
    made.add_new(0x60000011, "US", 20)
    made.add_new(0x60003000, "OW", b"\xff" * 60)
    assert read(encoded(made)).id == read(dicom(gradient(kind="<u2") % 4096)).id
