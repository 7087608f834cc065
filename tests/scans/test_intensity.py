"""What the model sees depends on the scan alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medmeta.scans.intensity import intensity_range, model_image
from medmeta.scans.scan import Scan

SYNTAX = "1.2.840.10008.1.2.1"


def test_eight_bit_pictures_keep_their_full_range() -> None:
    grey = Scan("a", np.full((1, 4, 4), 51, np.uint8), "a")
    assert intensity_range(grey) == (0.0, 255.0)
    np.testing.assert_allclose(model_image(grey, 8), 0.2, atol=1e-6)


def test_dicom_spans_the_percentiles_of_the_central_frame() -> None:
    pixels = np.stack([np.zeros((10, 100)), np.arange(1000).reshape(10, 100), np.full((10, 100), 9e4)])
    scan = Scan("a", pixels.astype(np.float32), "a", transfer_syntax=SYNTAX)
    low, high = np.percentile(np.arange(1000), [0.5, 99.5])
    assert intensity_range(scan) == (low, high)
    image = model_image(scan, 50)
    assert image.shape == (3, 50, 50)
    assert image.dtype == np.float32
    assert image.min() == 0.0
    assert image.max() == 1.0
    assert np.array_equal(image[0], image[1])


def test_a_flat_scan_is_no_division_by_zero() -> None:
    assert np.isfinite(
        model_image(Scan("a", np.full((1, 9, 9), -7, np.int16), "a", transfer_syntax=SYNTAX), 9)
    ).all()


def test_colour_channels_stay_apart() -> None:
    pixels = np.zeros((1, 6, 6, 3), np.uint8)
    pixels[..., 1] = 255
    image = model_image(Scan("a", pixels, "a"), 12)
    np.testing.assert_allclose(image.mean(axis=(1, 2)), [0, 1, 0], atol=1e-6)


def test_the_display_window_never_reaches_the_model() -> None:
    pixels = np.arange(400, dtype=np.int16).reshape(1, 20, 20)
    scan = Scan("a", pixels, "a", transfer_syntax=SYNTAX, window=(50.0, 10.0))
    assert np.array_equal(model_image(scan, 32), model_image(replace(scan, window=(-600.0, 1500.0)), 32))
