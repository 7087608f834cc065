"""TIFF pictures to a `Scan`: every page that is like the first a frame, and no metadata."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from medmeta.scans.deep_colour import deep_pixels, layout_of, read_as
from medmeta.scans.limits import Limits, in_words
from medmeta.scans.picture import grey_or_rgb
from medmeta.scans.refusal import RefusedError, naming
from medmeta.scans.scan import Scan, content_hash
from medmeta.scans.values import narrowest

_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_BITS, _PLANAR, _SEPARATE = 258, 284, 2
#: TIFF 6.0, section 19; unsigned where the tag is missing.
_SAMPLE_FORMAT, _UNSIGNED, _SIGNED = 339, 1, 2


def read_tiff(data: bytes, file: str, *, limits: Limits | None = None) -> Scan:
    """Read a TIFF file (TIFF 6.0, BigTIFF); orientation is applied, every other metadata is dropped.

    Pages of the size and kind of the first become frames, so the model reads the central one; thumbnails and
    reduced copies are left out, and said so. Greyscale keeps its depth: 8 bits as uint8, 16 as uint16, more or
    signed as the narrowest type, float as float32. Colour comes out as 8-bit RGB, of 16 bits the upper eight.
    Greyscale of more than 8 bits in which low values are white is flagged, not inverted.

    Raises:
        ScanRejectedError: not a readable TIFF file, over a limit, or damaged.
    """
    limits = limits or Limits()
    with naming(file), warnings.catch_warnings():
        # Pillow warns on sizes it finds large; the limits here are stricter and refuse.
        warnings.simplefilter("ignore")
        if len(data) > limits.file_bytes:
            raise RefusedError(f"is {in_words(len(data))}; at most {in_words(limits.file_bytes)} are read")
        picture = _opened(data)
        alike, others = _pages(picture, limits)
        white_is_zero = picture.mode.startswith(("I", "F")) and _tag(picture, _PHOTOMETRIC) == _WHITE_IS_ZERO
        pixels = _stacked([_pixels(data, picture, page) for page in alike])
        identity = content_hash(pixels)
        return Scan(
            file=file,
            pixels=pixels,
            group=f"file-{identity[:12]}",
            monochrome1=white_is_zero and pixels.ndim == 3,
            warnings=_left_out(others),
            id=identity,
        )


def _opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=("TIFF",))
    except UnidentifiedImageError:
        raise RefusedError(
            "is not a TIFF file of a kind that can be read; export it as 8- or 16-bit TIFF"
        ) from None
    except Image.DecompressionBombError:
        raise RefusedError("claims more pixels than any scan has") from None


def _pages(picture: Image.Image, limits: Limits) -> tuple[list[int], int]:
    """Positions of the pages like the first, and the number of others; sizes are checked, nothing is decoded."""
    columns, rows = picture.size
    first = (picture.size, picture.mode)
    sample = 4 if picture.mode.startswith(("I", "F")) or len(picture.getbands()) > 1 else 1
    alike, others = [0], 0
    for page in range(1, limits.frames + 2):
        try:
            picture.seek(page)
        except EOFError:
            break
        if (picture.size, picture.mode) == first:
            alike.append(page)
        else:
            others += 1
    if len(alike) + others > limits.frames:
        raise RefusedError(f"holds more than {limits.frames} pages; split it")
    if (
        rows > limits.rows
        or columns > limits.columns
        or rows * columns * sample * len(alike) > limits.decoded_bytes
    ):
        raise RefusedError(
            f"is {len(alike)} x {rows} x {columns} pixels; at most {limits.rows} x {limits.columns} and "
            f"{in_words(limits.decoded_bytes)} decoded are read"
        )
    picture.seek(0)
    return alike, others


def _pixels(data: bytes, picture: Image.Image, page: int) -> NDArray[Any]:
    picture.seek(page)
    if _tag(picture, _PLANAR) == _SEPARATE and _tag(picture, _BITS) == 16:
        raise RefusedError("keeps colours of 16 bits in separate planes; save it with interleaved channels")
    layout = layout_of(picture)
    if layout is not None:

        def load(as_layout: str) -> NDArray[Any]:
            again = _opened(data)
            again.seek(page)
            read_as(again, as_layout)
            _load(again)
            return np.array(again)

        return deep_pixels(load, layout)
    _load(picture)
    if picture.mode.startswith("I;16"):
        return np.array(picture).astype(np.uint16)
    # Pillow reads 32 bits as signed and 8 as unsigned, whatever the file says.
    if picture.mode == "I" and _tag(picture, _SAMPLE_FORMAT, _UNSIGNED) == _UNSIGNED:
        return np.array(picture).view(np.uint32)
    if picture.mode == "L" and _tag(picture, _SAMPLE_FORMAT, _UNSIGNED) == _SIGNED:
        return np.array(picture).view(np.int8)
    if picture.mode.startswith(("I", "F")):
        return np.array(picture)
    return grey_or_rgb(picture)


def _load(picture: Image.Image) -> None:
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError, EOFError):
        raise RefusedError("its picture data is damaged or cut short; export or copy it again") from None


def _stacked(frames: list[NDArray[Any]]) -> NDArray[Any]:
    """Frames as one array; grey among colour is repeated over the channels."""
    if any(frame.ndim == 3 for frame in frames):
        frames = [(frame >> 8).astype(np.uint8) if frame.dtype == np.uint16 else frame for frame in frames]
        frames = [np.repeat(frame[..., None], 3, -1) if frame.ndim == 2 else frame for frame in frames]
    pixels = np.stack(frames)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise RefusedError("some of its pixels are not numbers; export the scan again")
    return pixels if pixels.dtype in (np.uint8, np.uint16) else narrowest(pixels)


def _tag(picture: Image.Image, number: int, default: int | None = None) -> int | None:
    """The value of a tag of whole numbers, the first of several."""
    value = getattr(picture, "tag_v2", {}).get(number, default)
    first = value[0] if isinstance(value, tuple) and value else value
    return first if isinstance(first, int) else default


def _left_out(others: int) -> tuple[str, ...]:
    if not others:
        return ()
    return (f"pages of another size or kind than the first ({others}) were left out",)
