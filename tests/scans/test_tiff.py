"""TIFF pictures written by tifffile, which shares no code with the reader."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from dicom_files import KEY, gradient
from PIL import Image

from medmeta.errors import ScanRejectedError
from medmeta.scans.isolate import Isolated
from medmeta.scans.limits import Limits
from medmeta.scans.reader import read_file
from medmeta.scans.scan import Scan
from medmeta.scans.tiff import read_tiff


def written(*pages: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    container = {word: options.pop(word) for word in ("bigtiff", "byteorder") if word in options}
    with tifffile.TiffWriter(out, **container) as sink:
        for page in pages:
            sink.write(page, contiguous=False, **options)
    return out.getvalue()


def pillow(values: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "TIFF", **options)
    return out.getvalue()


def read(data: bytes, **limits: int) -> Scan:
    return read_tiff(data, "x.tif", limits=Limits(**limits))


def colour(kind: str = "u1") -> np.ndarray:
    return np.stack([gradient(kind=kind), gradient(kind=kind) // 2, gradient(kind=kind) // 3], -1)


@pytest.mark.parametrize(
    "options", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"tile": (16, 16)}, {"rowsperstrip": 5}]
)
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "i4", "f4"])
def test_grey_keeps_its_values(kind: str, options: dict[str, object]) -> None:
    values = gradient(kind=kind) if kind != "f4" else gradient().astype("f4") / 7
    scan = read(written(values, photometric="minisblack", **options))
    np.testing.assert_array_equal(scan.pixels[0], values)
    assert (scan.transfer_syntax, scan.group_source, scan.monochrome1) == (None, "file", False)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
@pytest.mark.parametrize(
    ("ends", "kind"),
    [((0, 2**32 - 1), "u4"), ((2**31, 1), "u4"), ((-(2**31), 2**31 - 1), "i4"), ((-128, 127), "i1")],
)
def test_the_sign_is_that_of_the_sample_format(
    ends: tuple[int, int], kind: str, options: dict[str, object]
) -> None:
    values = np.array([ends, (5, 1)]).astype(kind)
    assert read(written(values, photometric="minisblack", **options)).pixels[0].tolist() == [[*ends], [5, 1]]


@pytest.mark.parametrize("packing", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_packed_grey_equals_tifffile(kind: str, packing: str) -> None:
    data = pillow(gradient(kind=kind), compression=packing)
    np.testing.assert_array_equal(read(data).pixels[0], gradient(kind=kind))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour(planar: str) -> None:
    page = colour() if planar == "contig" else np.moveaxis(colour(), -1, 0)
    scan = read(written(page, photometric="rgb", planarconfig=planar))
    np.testing.assert_array_equal(scan.pixels[0], colour())


def test_colour_of_16_bits_keeps_the_upper_eight() -> None:
    values = colour("u2") * 60
    np.testing.assert_array_equal(read(written(values, photometric="rgb")).pixels[0], values >> 8)


def test_white_is_zero_is_shown_right_once() -> None:
    """Eight bits come inverted by the decoder; of deeper ones the flag says so."""
    eight = read(written(gradient(kind="u1"), photometric="miniswhite"))
    np.testing.assert_array_equal(eight.pixels[0], 255 - gradient(kind="u1"))
    assert not eight.monochrome1
    deep = read(written(gradient(kind="u2"), photometric="miniswhite"))
    np.testing.assert_array_equal(deep.pixels[0], gradient(kind="u2"))
    assert deep.monochrome1


def test_pages_are_frames_and_the_model_reads_the_central_one() -> None:
    pages = [gradient(kind="u2") + 1000 * place for place in range(4)]
    scan = read(written(*pages, photometric="minisblack"))
    np.testing.assert_array_equal(scan.pixels, pages)
    assert (scan.central_frame, scan.warnings) == (1, ())


def test_thumbnails_are_left_out_and_said_so() -> None:
    page = gradient(kind="u1")
    scan = read(written(page, page[::2, ::2], page + 1, photometric="minisblack"))
    np.testing.assert_array_equal(scan.pixels, [page, page + 1])
    assert scan.warnings == ("pages of another size or kind than the first (1) were left out",)


def test_orientation_is_applied_and_metadata_dropped() -> None:
    data = written(
        gradient(kind="u1"),
        photometric="minisblack",
        description="PHI-CANARY",
        extratags=[(274, "H", 1, 6, True)],
    )
    scan = read(data)
    np.testing.assert_array_equal(scan.pixels[0], np.rot90(gradient(kind="u1"), -1))
    assert "CANARY" not in repr(scan)


def test_limits_and_damage() -> None:
    data = written(*[gradient(kind="u2")] * 5, photometric="minisblack")
    for limits, words in (
        ({"rows": 20}, "24 x 20 pixels"),
        ({"decoded_bytes": 5000}, "5 x 24 x 20 pixels"),
        ({"frames": 4}, "more than 4 pages"),
        ({"file_bytes": 100}, "at most 100 bytes"),
    ):
        with pytest.raises(ScanRejectedError, match=words):
            read(data, **limits)
    for bad in (data[:-100], data[:900], b"II*\0" + b"\xff" * 40, written(np.full((4, 4), np.nan, "f4"))):
        with pytest.raises(ScanRejectedError, match=r"x\.tif"):
            read(bad)


def test_false_size_is_refused_before_decoding() -> None:
    data = bytearray(pillow(gradient(kind="u1"), compression="tiff_adobe_deflate"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        places = [file.pages[0].tags[tag].valueoffset for tag in ("ImageWidth", "ImageLength")]
    for side in (19_000, 100_000, 2**31 - 1):
        for place in places:
            struct.pack_into("<I", data, place, side)
        with pytest.raises(ScanRejectedError, match=r"pixels|readable|TIFF"):
            read(bytes(data), decoded_bytes=2**28)


def test_a_ring_of_pages_ends() -> None:
    data = bytearray(written(gradient(kind="u1"), gradient(kind="u1"), photometric="minisblack"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        first, second = (page.offset for page in file.pages)
        tags = len(file.pages[1].tags)
    assert struct.unpack_from("<H", data, second)[0] == tags
    struct.pack_into("<I", data, second + 2 + 12 * tags, first)
    assert read(bytes(data)).frames == 2


def test_the_reader_and_the_decoding_process_know_it() -> None:
    data = written(gradient(kind="u2"), photometric="minisblack")
    with Isolated() as isolated:
        for scan in (read_file(data, "x", KEY), isolated.read(data, "x", KEY)):
            np.testing.assert_array_equal(scan.pixels[0], gradient(kind="u2"))
