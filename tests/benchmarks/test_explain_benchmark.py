"""The benchmark of explanations plants what it says, measures by hand-made heats, and leaves the model alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_network import task

from benchmarks import explain


def test_a_spot_is_bright_where_its_mask_is() -> None:
    plain = task(("a",) * 1 + ("b",), shots=1).scans[0]
    dark = replace(plain, pixels=np.zeros((1, 100, 100), dtype=np.uint8), id="")
    changed, spot = explain.plant(dark, np.random.default_rng(0))
    assert changed.id != dark.id
    inside, outside = spot.mask(100, -0.02), ~spot.mask(100, 0.08)
    assert changed.pixels[0][inside].mean() > 100
    assert changed.pixels[0][outside].mean() < 5


def test_the_share_on_the_spot_counts_what_speaks_for_it() -> None:
    spot = explain.Spot(0.5, 0.5, 0.1)
    mask = spot.mask(84)
    heat = np.where(mask, 3.0, 1.0)
    assert explain.on_spot(heat, spot) == pytest.approx(3 * mask.sum() / (3 * mask.sum() + (~mask).sum()))
    assert explain.on_spot(np.where(mask, 1.0, -1.0), spot) == 1.0
    assert explain.on_spot(np.ones((84, 84)), spot) == pytest.approx(mask.mean())


def test_support_and_new_scans_are_different_ones() -> None:
    scans = task(("a", "b"), shots=12).scans
    planted, new = explain.planted_task(scans, np.random.default_rng(0), 4)
    assert planted.scans_per_class() == {explain.SPOT: 8, explain.PLAIN: 8}
    used = {scan.file.removesuffix(" with a spot") for scan in planted.scans}
    assert not used & {scan.file.removesuffix(" with a spot") for scan, _ in new}
