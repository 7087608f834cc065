"""PNG, JPEG and BMP pictures: depth, colour, orientation, and no metadata."""

from __future__ import annotations

import io

import numpy as np
import pytest
from dicom_files import gradient
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from medmeta.scans.picture import read_picture


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["u1", "<u2"])
def test_grey_keeps_its_depth(kind: str) -> None:
    values = gradient(kind=kind)
    scan = read_picture(saved(Image.fromarray(values)), "x.png")
    assert scan.pixels.dtype == values.dtype
    np.testing.assert_array_equal(scan.pixels[0], values)


def test_colour_and_grey_coded_as_colour() -> None:
    values = np.stack([gradient(kind="u1"), gradient(kind="u1") // 2, gradient(kind="u1") // 3], -1)
    np.testing.assert_array_equal(read_picture(saved(Image.fromarray(values)), "x").pixels[0], values)
    grey = np.repeat(gradient(kind="u1")[..., None], 3, -1)
    np.testing.assert_array_equal(read_picture(saved(Image.fromarray(grey)), "x").pixels[0], grey[..., 0])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_bmp_gives_the_pixels_of_png(mode: str) -> None:
    values = np.stack([gradient(kind="u1"), gradient(kind="u1") // 2, gradient(kind="u1") // 3], -1)
    picture = Image.fromarray(values).convert(mode)
    scans = [read_picture(saved(picture, kind), "x") for kind in ("BMP", "PNG")]
    assert scans[0].id == scans[1].id
    np.testing.assert_array_equal(scans[0].pixels, scans[1].pixels)


def test_transparency_lies_over_black_and_palettes_are_resolved() -> None:
    half = Image.new("RGBA", (3, 2), (200, 100, 50, 51))
    assert read_picture(saved(half), "x").pixels[0, 0, 0].tolist() == [40, 20, 10]
    palette = Image.new("RGB", (3, 2), (10, 20, 30)).quantize(4)
    assert read_picture(saved(palette), "x").pixels[0, 0, 0].tolist() == [10, 20, 30]


def test_orientation_is_applied_and_metadata_dropped() -> None:
    picture = Image.fromarray(gradient(8, 4, "u1"))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise
    exif[0x010E] = "PHI-CANARY"
    notes = PngInfo()
    notes.add_text("Author", "PHI-CANARY")
    scan = read_picture(saved(picture, exif=exif, pnginfo=notes), "x.png")
    np.testing.assert_array_equal(scan.pixels[0], np.rot90(gradient(8, 4, "u1"), -1))
    assert "CANARY" not in repr(scan)
    assert (scan.group_source, scan.transfer_syntax, dict(scan.tags)) == ("file", None, {})
