"""The overlay colours what the heat says and leaves the scan alone at no opacity."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from medmeta.reports.overlay import SIDE, overlay_png


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)), dtype=np.int64)


def test_orange_speaks_for_and_blue_against() -> None:
    heat = np.zeros((84, 84))
    heat[:40], heat[44:] = 1.0, -1.0
    shown = opened(overlay_png(np.full((60, 120), 100, dtype=np.uint8), heat, 0.8))
    assert shown.shape == (SIDE // 2, SIDE, 3)
    above, below = shown[20, 240], shown[220, 240]
    assert above[0] > above[2] + 50
    assert below[2] > below[0] + 50


def test_at_no_opacity_it_is_the_scan_and_no_heat_is_no_colour() -> None:
    grey = np.full((50, 50), 90, dtype=np.uint8)
    heat = np.random.default_rng(0).normal(size=(84, 84))
    assert (opened(overlay_png(grey, heat, 0.0)) == 90).all()
    assert (opened(overlay_png(grey, np.zeros((84, 84)), 1.0)) == 90).all()
