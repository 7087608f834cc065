"""Where a value lies in its word (PS3.5 8.1.1), by hand and against DCMTK."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from dicom_files import dataset, dicom, encoded, read
from PIL import Image
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from medmeta.errors import ScanRejectedError


def shifted(values: np.ndarray, high: int) -> np.ndarray:
    """12-bit values with their highest bit there, and every other bit of the word set."""
    low = high - 11
    return ((values % 4096) << low | 0xFFFF & ~(0xFFF << low)).astype("<u2")


VALUES = np.random.default_rng(0).integers(-2048, 2048, (72, 68))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("high", [11, 13, 15])
@pytest.mark.parametrize("signed", [False, True])
def test_the_value_ends_at_the_high_bit(high: int, signed: bool, syntax: str) -> None:
    made = dataset(shifted(VALUES, high))
    if syntax == RLELossless:
        made.compress(syntax, generate_instance_uid=False)
    made.BitsStored, made.HighBit, made.PixelRepresentation = 12, high, int(signed)
    expected = VALUES if signed else VALUES % 4096
    np.testing.assert_array_equal(read(encoded(made)).pixels[0], expected)


@pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("high", [13, 15])
def test_the_value_is_that_of_dcmtk(high: int, tmp_path: Path) -> None:
    source, drawn = tmp_path / "in.dcm", tmp_path / "out.pgm"
    data = dicom(shifted(VALUES, high), BitsStored=12, HighBit=high)
    source.write_bytes(data)
    # A window as wide as 16 bits, drawn in 16 bits: every value as it is.
    window = ["+Ww", "32768", "65536", "+opw"]
    subprocess.run(["dcm2pnm", *window, str(source), str(drawn)], check=True, capture_output=True)
    np.testing.assert_array_equal(read(data).pixels[0], np.asarray(Image.open(drawn)))


@pytest.mark.parametrize(
    ("stored", "high"), [(12, 7), (12, 16), (16, 11)], ids=["below", "beyond", "all bits"]
)
def test_a_high_bit_that_cannot_be_is_refused(stored: int, high: int) -> None:
    with pytest.raises(ScanRejectedError, match="HighBit does not go with BitsStored"):
        read(dicom(VALUES.astype("<i2"), BitsStored=stored, HighBit=high))


def test_no_high_bit_is_the_lowest_there_is() -> None:
    made = dataset(shifted(VALUES, 11), BitsStored=12)
    del made.HighBit
    np.testing.assert_array_equal(read(encoded(made)).pixels[0], VALUES % 4096)


def test_a_shifted_value_in_a_codestream_or_in_colour_is_refused() -> None:
    made = dataset(shifted(VALUES, 15))
    made.compress(JPEGLSLossless, generate_instance_uid=False)
    made.BitsStored = 12
    colour = dicom(np.zeros((4, 4, 3), "<u2"), BitsStored=12, HighBit=15)
    for data in (encoded(made), colour):
        with pytest.raises(ScanRejectedError, match="HighBit is 15 and BitsStored 12"):
            read(data)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("above", [0, 0x1000, 0xF000], ids=["zeros", "overlay", "ones"])
def test_unused_bits_of_a_codestream_are_no_part_of_the_value(above: int, signed: bool, syntax: str) -> None:
    made = dataset((VALUES % 4096 | above).astype("<u2"))
    made.compress(syntax, generate_instance_uid=False)
    made.BitsStored, made.HighBit, made.PixelRepresentation = 12, 11, int(signed)
    expected = VALUES if signed else VALUES % 4096
    np.testing.assert_array_equal(read(encoded(made)).pixels[0], expected)


@pytest.mark.skipif(shutil.which("dcmcjpls") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("above", [0, 0x1000], ids=["zeros", "overlay"])
def test_signed_values_packed_by_dcmtk(above: int, tmp_path: Path) -> None:
    """DCMTK packs whole words of 16 bits, and unpacks them to the values they were."""
    plain, packed, unpacked = (tmp_path / name for name in ("plain", "packed", "unpacked"))
    stored = (VALUES % 4096 | above).astype("<u2")
    plain.write_bytes(dicom(stored, BitsStored=12, HighBit=11, PixelRepresentation=1))
    subprocess.run(["dcmcjpls", "+el", str(plain), str(packed)], check=True, capture_output=True)
    subprocess.run(["dcmdjpls", str(packed), str(unpacked)], check=True, capture_output=True)
    scans = [read(path.read_bytes()) for path in (packed, unpacked)]
    np.testing.assert_array_equal(scans[0].pixels[0], VALUES)
    assert scans[0].id == scans[1].id


def test_a_lossy_codec_may_step_over_the_highest_value() -> None:
    """A 4097 that lossy packing made of 4095 is no 1."""
    made = dataset(np.full((32, 32), 4097, "<u2"))
    made.compress(JPEG2000Lossless, generate_instance_uid=False)
    made.file_meta.TransferSyntaxUID = JPEG2000
    made.BitsStored, made.HighBit = 12, 11
    assert read(encoded(made)).pixels.min() == 4097
