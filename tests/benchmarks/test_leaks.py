"""What is planted is planted where the benchmark says."""

from __future__ import annotations

import numpy as np
from tiny_network import scan

from benchmarks import leaks
from medmeta.evaluation.result import Leak


def test_the_marker_stands_in_the_top_right_corner_only() -> None:
    plain = scan(0, 1)
    changed = (leaks.marked(plain).pixels != plain.pixels).any(axis=(0, 3))
    rows, columns = np.nonzero(changed)
    assert 0 < changed.sum() <= 4
    assert rows.max() < 20 // 4
    assert columns.min() >= 20 - 20 // 4


def test_the_spacing_is_all_that_changes() -> None:
    plain = scan(0, 1)
    spaced = leaks.tagged(plain, "0.5\\0.5")
    assert (spaced.id, spaced.group, dict(spaced.tags)) == (
        plain.id,
        plain.group,
        {"PixelSpacing": "0.5\\0.5"},
    )


def test_the_most_telling_is_told() -> None:
    assert leaks.told([Leak("pixel spacing", "technical", 18, 20, 10, 0.001)]) == "pixel spacing (18 of 20)"
    assert leaks.told([]) == "nothing"
