"""Pictures of 16 bits a channel, packed by hand (PNG, ISO/IEC 15948) and by tifffile."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from dicom_files import KEY, gradient
from PIL import Image

from medmeta.errors import ScanRejectedError
from medmeta.scans.reader import read_file

#: 12-bit values, as digitised films have them: the low byte tells most of them apart.
GREY = (gradient(kind="<u2") * 4).astype(np.uint16)
COLOUR = np.stack([GREY * 16, GREY * 8, GREY], -1)
OPAQUE = np.full(GREY.shape, 65535, np.uint16)


def png(samples: np.ndarray, *more: bytes) -> bytes:
    """A PNG of 16 bits a channel, its lines as differences from the pixel before (filter "sub", clause 9.2)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows, columns, channels = samples.shape
    lines = b""
    for row in samples.astype(">u2").view(np.uint8).reshape(rows, columns, 2 * channels):
        lines += b"\1" + np.diff(row, axis=0, prepend=np.zeros((1, 2 * channels), np.uint8)).tobytes()
    kind = {2: 4, 3: 2, 4: 6}[channels]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 16, kind, 0, 0, 0))
    tail = chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunk(each[:4], each[4:]) for each in more) + tail


def tiff(samples: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out, byteorder=str(options.pop("byteorder", "<"))) as sink:
        sink.write(samples, photometric="rgb", **options)
    return out.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return read_file(data, "x", KEY).pixels[0]


@pytest.mark.parametrize(
    "data",
    [
        png(np.dstack([GREY] * 3)),
        png(np.dstack([GREY, OPAQUE])),
        png(np.dstack([GREY] * 3 + [OPAQUE])),
        tiff(np.dstack([GREY] * 3)),
        tiff(np.dstack([GREY] * 3), byteorder=">"),
        tiff(np.dstack([GREY] * 3), compression="zlib"),
        tiff(np.dstack([GREY] * 3), compression="zlib", byteorder=">"),
        tiff(np.dstack([GREY] * 3), tile=(16, 16)),
        tiff(np.dstack([GREY] * 3 + [OPAQUE]), extrasamples=["unassalpha"]),
    ],
    ids=["rgb", "grey alpha", "rgba", "tiff", "big", "zlib", "zlib big", "tiles", "tiff rgba"],
)
def test_grey_coded_as_colour_keeps_all_its_bits(data: bytes) -> None:
    assert pixels(data).dtype == np.uint16
    np.testing.assert_array_equal(pixels(data), GREY)


@pytest.mark.parametrize("packed", [png, tiff])
def test_of_colour_the_upper_eight_bits_are_kept(packed: object) -> None:
    np.testing.assert_array_equal(pixels(packed(COLOUR)), COLOUR >> 8)


@pytest.mark.parametrize("packed", [png, tiff])
def test_colour_that_would_be_black_is_refused(packed: object) -> None:
    with pytest.raises(
        ScanRejectedError, match=r"nearly black .* save it as 8-bit colour, or as 16-bit grey"
    ):
        pixels(packed(COLOUR // 16))


def test_transparency_lies_over_black() -> None:
    halves = np.full(GREY.shape, 32768, np.uint16)
    expected = np.rint(GREY * (32768 / 65535))
    np.testing.assert_array_equal(pixels(png(np.dstack([GREY, halves]))), expected)
    np.testing.assert_array_equal(pixels(png(np.dstack([GREY] * 3 + [halves]))), expected)


def test_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    data = png(np.dstack([GREY, OPAQUE]), b"eXIf" + exif.tobytes()[6:])
    np.testing.assert_array_equal(pixels(data), np.rot90(GREY, -1))
    turned = tiff(np.dstack([GREY] * 3), extratags=[(274, "H", 1, 6, True)])
    np.testing.assert_array_equal(pixels(turned), np.rot90(GREY, -1))


def test_every_page_keeps_its_bits_unless_one_is_in_colour() -> None:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as sink:
        for page in (np.dstack([GREY] * 3), np.dstack([GREY + 1] * 3)):
            sink.write(page, photometric="rgb", contiguous=False)
    np.testing.assert_array_equal(read_file(out.getvalue(), "x", KEY).pixels, [GREY, GREY + 1])
    with tifffile.TiffWriter(out := io.BytesIO()) as sink:
        for page in (np.dstack([GREY] * 3), COLOUR):
            sink.write(page, photometric="rgb", contiguous=False)
    expected = [np.dstack([GREY] * 3) >> 8, COLOUR >> 8]
    np.testing.assert_array_equal(read_file(out.getvalue(), "x", KEY).pixels, expected)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_separate_planes_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ScanRejectedError, match="separate planes"):
        pixels(tiff(np.moveaxis(COLOUR, -1, 0), planarconfig="separate", **options))


def test_damage_is_told() -> None:
    for data in (png(COLOUR)[:-300], tiff(COLOUR)[:-300]):
        with pytest.raises(ScanRejectedError, match="damaged or cut short"):
            pixels(data)
