"""Headers that do not say what their pixels are."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_files import dataset, encoded, gradient, read
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from medmeta.errors import ScanRejectedError

GREY = gradient(72, 68, "<u2")
COLOUR = np.stack([GREY % 251] * 3, -1).astype("u1")


def without(made: Dataset, keyword: str, how: str) -> bytes:
    if how == "absent":
        delattr(made, keyword)
    else:
        setattr(made, keyword, None)
    return encoded(made)


@pytest.mark.parametrize("how", ["absent", "empty"])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("keyword", ["PhotometricInterpretation", "PixelRepresentation", "BitsStored"])
def test_what_the_header_does_not_name_is_named(keyword: str, syntax: str | None, how: str) -> None:
    made = dataset(GREY)
    if syntax is not None:
        made.compress(syntax, generate_instance_uid=False)
    with pytest.raises(ScanRejectedError, match=f"the header names no {keyword}"):
        read(without(made, keyword, how))


@pytest.mark.parametrize("how", ["absent", "empty"])
@pytest.mark.parametrize(("keyword", "pixels"), [("PlanarConfiguration", COLOUR), ("SamplesPerPixel", GREY)])
def test_so_is_how_the_samples_lie(keyword: str, pixels: np.ndarray, how: str) -> None:
    with pytest.raises(ScanRejectedError, match=f"the header names no {keyword}"):
        read(without(dataset(pixels), keyword, how))


def test_floats_need_no_word_on_their_bits() -> None:
    made = dataset(None, Rows=1, Columns=2, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2")
    made.BitsAllocated, made.FloatPixelData = 32, np.array([0.5, -7], "<f4").tobytes()
    assert read(encoded(made)).pixels.tolist() == [[[0.5, -7]]]
