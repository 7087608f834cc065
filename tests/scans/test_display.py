"""Windowing against pydicom's, inversion, and thumbnails."""

from __future__ import annotations

import io

import numpy as np
import pytest
from dicom_files import KEY, dicom, gradient
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from medmeta.scans.dicom import read_dicom
from medmeta.scans.display import PRESETS, default_window, render, thumbnail
from medmeta.scans.scan import Scan


def scan(pixels: np.ndarray, **fields: object) -> Scan:
    return Scan(file="x", pixels=pixels, group="g", **fields)


@pytest.mark.parametrize("window", [(40, 400), (-600, 1500), (0.5, 1), (10, 2), (100.5, 33)])
def test_linear_window_equals_pydicom(window: tuple[float, float]) -> None:
    values = np.arange(-2000, 2000, dtype=np.int16).reshape(1, 40, 100)
    rules = Dataset()
    rules.WindowCenter, rules.WindowWidth = window
    rules.PhotometricInterpretation, rules.PixelRepresentation = "MONOCHROME2", 1
    rules.BitsStored = 8  # pydicom takes the output range from it: -128 to 127
    expected = apply_windowing(values[0], rules) + 128
    shown = render(scan(values), window=window)
    assert shown.dtype == np.uint8
    assert np.abs(shown - expected).max() <= 0.5 + 1e-6


def test_large_frames_take_the_quick_way_to_the_same_values() -> None:
    values = np.arange(-32768, 32768, dtype=np.int16).reshape(1, 256, 256)
    large = np.tile(values, (1, 1, 4))
    window = (-321.5, 777.0)
    np.testing.assert_array_equal(
        render(scan(large), window=window)[:, :256], render(scan(values), window=window)
    )


def test_windows_by_hand() -> None:
    values = np.array([[[-1, 0, 127, 128, 255, 256]]], np.int16)
    assert render(scan(values), window=(128, 256)).tolist() == [[0, 0, 127, 128, 255, 255]]
    floats = np.array([[[0.0, 0.25, 0.5, 1.0]]], np.float32)
    assert render(scan(floats), window=(0.5, 1.0)).tolist() == [[0, 64, 128, 255]]
    assert PRESETS["Lung"] == (-600, 1500)
    with pytest.raises(ValueError, match="above 0"):
        render(scan(values), window=(1, 0))


def test_monochrome1_inverts_once() -> None:
    values = gradient()[None]
    plain, inverted = scan(values), scan(values, monochrome1=True)
    np.testing.assert_array_equal(render(inverted), 255 - render(plain))
    np.testing.assert_array_equal(render(inverted, invert=True), render(plain))


def test_default_window() -> None:
    assert default_window(scan(gradient()[None], window=(40.0, 400.0))) == (40.0, 400.0)
    assert default_window(scan(gradient(kind="u1")[None])) == (128.0, 256.0)
    values = np.arange(10000, dtype=np.int32).reshape(1, 100, 100)
    shown = render(scan(values)).ravel()
    low, high = np.percentile(values, (0.5, 99.5))
    assert shown[int(low)] == 0
    assert shown[int(high) + 1] == 255
    assert shown[4999] in (127, 128)
    constant = scan(np.full((1, 4, 4), 7, np.int16))
    assert render(constant).shape == (4, 4)
    assert render(scan(np.full((1, 4, 4), 7.0, np.float32))).shape == (4, 4)


def test_frames_and_colour() -> None:
    frames = scan(np.stack([gradient(), gradient()[::-1]]))
    np.testing.assert_array_equal(
        render(frames, frame=1, window=(0, 900)), render(frames, window=(0, 900))[::-1]
    )
    with pytest.raises(IndexError, match="frames 0 to 1"):
        render(frames, frame=2)
    colour = scan(np.full((1, 4, 6, 3), (1, 2, 3), np.uint8))
    assert render(colour, window=(5, 9))[0, 0].tolist() == [1, 2, 3]
    assert render(colour, invert=True)[0, 0].tolist() == [254, 253, 252]


@pytest.mark.parametrize("shape", [(1, 200, 100), (3, 30, 60), (1, 64, 32, 3)])
def test_thumbnail_is_square_and_undistorted(shape: tuple[int, ...]) -> None:
    made = thumbnail(scan(np.full(shape, 255, np.uint8)), side=96)
    picture = np.asarray(Image.open(io.BytesIO(made)).convert("L"))
    assert picture.shape == (96, 96)
    rows, columns = (picture > 128).any(1).sum(), (picture > 128).any(0).sum()
    assert abs(rows / columns - shape[1] / shape[2]) < 0.1


def test_a_file_renders_as_its_window_says() -> None:
    made = read_dicom(dicom(gradient(), WindowCenter=0, WindowWidth=1001), "x", key=KEY)
    np.testing.assert_array_equal(render(made), render(made, window=(0, 1001)))
