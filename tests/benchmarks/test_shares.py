"""Shares as the tables write them, beside SciPy's exact interval."""

from __future__ import annotations

from scipy.stats import binomtest

from benchmarks.shares import share


def test_a_share_is_written_with_its_exact_interval() -> None:
    interval = binomtest(77, 80).proportion_ci(0.95, method="exact")
    expected = f"77 of 80 ({100 * interval.low:.1f} to {100 * interval.high:.1f} %)"
    assert share([True] * 77 + [False] * 3) == expected


def test_nothing_asked_is_a_dash() -> None:
    assert share([]) == "–"
