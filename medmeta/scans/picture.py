"""PNG, JPEG and BMP pictures to a `Scan`: the pixels as they are meant to be seen, and nothing else."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from medmeta.scans.deep_colour import deep_pixels, layout_of, read_as
from medmeta.scans.limits import Limits, in_words
from medmeta.scans.refusal import RefusedError, naming
from medmeta.scans.scan import Scan, content_hash

FORMATS = ("PNG", "JPEG", "BMP")


def read_picture(data: bytes, file: str, *, limits: Limits | None = None) -> Scan:
    """Read a PNG, JPEG or BMP picture; orientation is applied, every other metadata is dropped.

    Greyscale keeps its depth (uint8, or uint16 for 16-bit PNG). A picture whose three channels are equal is
    greyscale; of colour of 16 bits a channel the upper eight are kept. Transparency is laid over black. Pictures name
    no patient, so the file is its own group.

    Raises:
        ScanRejectedError: not such a picture, over a limit, or damaged.
    """
    limits = limits or Limits()
    with naming(file):
        if len(data) > limits.file_bytes:
            raise RefusedError(f"is {in_words(len(data))}; at most {in_words(limits.file_bytes)} are read")
        pixels = _pixels(data, limits)[None]
        identity = content_hash(pixels)
        return Scan(file=file, pixels=pixels, group=f"file-{identity[:12]}", group_source="file", id=identity)


def _pixels(data: bytes, limits: Limits) -> NDArray[Any]:
    with warnings.catch_warnings():
        # Pillow warns on sizes it finds large; the limits below are stricter and refuse.
        warnings.simplefilter("ignore")
        try:
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise RefusedError("is not a readable PNG, JPEG or BMP picture; export it again") from None
        except Image.DecompressionBombError:
            raise RefusedError("claims more pixels than any scan has") from None
        columns, rows = picture.size
        if rows > limits.rows or columns > limits.columns or rows * columns * 4 > limits.decoded_bytes:
            raise RefusedError(
                f"is {rows} x {columns} pixels; at most {limits.rows} x {limits.columns} and "
                f"{in_words(limits.decoded_bytes)} decoded are read"
            )
        layout = layout_of(picture)
        if layout is None:
            return grey_or_rgb(_loaded(picture))

        def load(as_layout: str) -> NDArray[Any]:
            again = Image.open(io.BytesIO(data), formats=FORMATS)
            read_as(again, as_layout)
            return np.array(_loaded(again))

        return deep_pixels(load, layout)


def _loaded(picture: Image.Image) -> Image.Image:
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError):
        raise RefusedError("its picture data is damaged or cut short; export or copy it again") from None
    return ImageOps.exif_transpose(picture)


def grey_or_rgb(picture: Image.Image) -> NDArray[Any]:
    """Pixels of a decoded picture: (rows, columns) uint8 or uint16, or (rows, columns, 3) uint8."""
    if picture.mode.startswith("I"):
        return np.array(picture).astype(np.uint16)
    if picture.mode in ("1", "L"):
        return np.array(picture.convert("L"))
    if picture.mode == "P" or "A" in picture.mode or "transparency" in picture.info:
        over = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(over, picture.convert("RGBA"))
    colour = np.array(picture.convert("RGB"))
    grey = colour[..., 0]
    if np.array_equal(grey, colour[..., 1]) and np.array_equal(grey, colour[..., 2]):
        return np.ascontiguousarray(grey)
    return colour
