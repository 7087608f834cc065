"""Twelve-bit lossy JPEG against DCMTK, whose answers to two files stand here, so that it need not be installed."""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import dataset, encoded, read
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEGExtended12Bit

from medmeta.errors import ScanRejectedError
from medmeta.scans.geometry import jpeg_precision


def path_of(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    assert found is not None
    return Path(str(found))


def frame_of(name: str) -> bytes:
    return next(generate_frames(pydicom.dcmread(path_of(name)).PixelData, number_of_frames=1))


def packed(frames: list[bytes], **tags: object) -> bytes:
    """A file of 12-bit JPEG frames, each 1024 x 256."""
    made = dataset(
        np.zeros((len(frames), 1024, 256), "<u2"), BitsStored=12, HighBit=11, Modality="NM", **tags
    )
    made.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    made.PixelData = encapsulate(frames)
    return encoded(made)


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_pixels_are_those_of_dcmtk(name: str) -> None:
    pixels = read(path_of(name).read_bytes()).pixels
    assert (pixels.shape, pixels.max()) == ((1, 1024, 256), 264)
    found = hashlib.sha256(pixels.astype("<i2").tobytes()).hexdigest()
    # of the pixels that dcmdjpeg 3.6.7 writes
    assert found == "d30242775a414c01d616447854ebe3f2b20259822894bcd6891f879bcdcbf313"


@pytest.mark.skipif(shutil.which("dcmdjpeg") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("process", ["+ee", "+es", "+ep"])
@pytest.mark.parametrize("bits", [8, 12])
def test_extended_and_retired_processes_equal_dcmtk(process: str, bits: int, tmp_path: Path) -> None:
    row, column = np.mgrid[:72, :68]
    stored = ((1 + np.sin(row / 7) * np.cos(column / 9)) * (2 ** (bits - 1) - 1)).astype(
        "<u2" if bits > 8 else "u1"
    )
    plain, jpeg, back = (tmp_path / name for name in ("plain", "jpeg", "back"))
    plain.write_bytes(encoded(dataset(stored, BitsStored=bits, HighBit=bits - 1, Modality="OT")))
    subprocess.run(["dcmcjpeg", process, plain, jpeg], check=True, capture_output=True)
    subprocess.run(["dcmdjpeg", jpeg, back], check=True, capture_output=True)
    expected = pydicom.dcmread(back)
    scan = read(jpeg.read_bytes())
    assert scan.transfer_syntax == pydicom.dcmread(jpeg).file_meta.TransferSyntaxUID
    np.testing.assert_array_equal(
        scan.pixels[0], expected.pixel_array + int(expected.get("RescaleIntercept", 0))
    )


def test_a_progressive_jpeg_equals_pillow() -> None:
    """Process 10, retired (PS3.5 of 1998): the codestream tells that it is progressive."""
    row, column = np.mgrid[:72, :68]
    out = io.BytesIO()
    Image.fromarray((row * 2 + column).astype(np.uint8)).save(out, "JPEG", progressive=True, quality=90)
    assert b"\xff\xc2" in out.getvalue()
    made = dataset(np.zeros((72, 68), "u1"), Modality="OT")
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.55")
    made.PixelData = encapsulate([out.getvalue()])
    scan = read(encoded(made))
    np.testing.assert_array_equal(scan.pixels[0], np.asarray(Image.open(out)))
    assert scan.transfer_syntax == "1.2.840.10008.1.2.4.55"


def test_frames_and_sign() -> None:
    frame = frame_of("JPGExtended.dcm")
    once = read(path_of("JPGExtended.dcm").read_bytes()).pixels[0].astype(int)
    np.testing.assert_array_equal(read(packed([frame, frame])).pixels, [once, once])
    assert jpeg_precision(frame) == 12
    # Of nine bits the ninth is the sign.
    signed = read(
        packed([frame], PixelRepresentation=1).replace(
            b"\x01\x01US\x02\x00\x0c\x00", b"\x01\x01US\x02\x00\x09\x00"
        )
    )
    np.testing.assert_array_equal(signed.pixels[0], np.where(once >= 256, once - 512, once))
    assert signed.pixels.min() < 0


def test_what_cannot_be_decoded_is_refused() -> None:
    frame = frame_of("JPGExtended.dcm")
    header = frame.index(b"\xff\xc1")
    eight = frame[: header + 4] + b"\x08" + frame[header + 5 :]
    for bad, words in (
        (packed([eight]), "12 bits"),
        (packed([frame[:2000]]), "cut short"),
        (packed([frame], SamplesPerPixel=3, PhotometricInterpretation="RGB"), "samples"),
        (
            packed(
                [frame[:header] + struct.pack(">HHBHHB", 0xFFC1, 11, 12, 1024, 999, 1) + frame[header + 10 :]]
            ),
            "999",
        ),
    ):
        with pytest.raises(ScanRejectedError, match=words):
            read(bad)
