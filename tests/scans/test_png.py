"""Our PNG files against Pillow's reader."""

import io

import numpy as np
import pytest
from PIL import Image

from medmeta.scans.png import png


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (96, 96), (1, 300), (300, 1, 3), (31, 40, 3)])
@pytest.mark.parametrize("seed", [0, None])
def test_another_reader_finds_the_same_pixels(shape: tuple[int, ...], seed: int | None) -> None:
    pixels = np.full(shape, 200, np.uint8)
    if seed is not None:
        pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    made = png(pixels)
    with Image.open(io.BytesIO(made)) as picture:
        picture.verify()  # the checksum of every chunk
    with Image.open(io.BytesIO(made)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L" if len(shape) == 2 else "RGB")
        assert (np.asarray(picture) == pixels).all()


def test_a_view_of_a_larger_array_is_written_as_it_looks() -> None:
    pixels = np.arange(240, dtype=np.uint8).reshape(20, 12)[::2, ::3]
    with Image.open(io.BytesIO(png(pixels))) as picture:
        assert (np.asarray(picture) == pixels).all()


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros(3, np.uint8)])
def test_other_pixels_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="8-bit"):
        png(wrong)
