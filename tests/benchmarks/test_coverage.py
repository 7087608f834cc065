"""The coverage study: counting by hand, and what it must show on few draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks import coverage
from medmeta.evaluation.intervals import clopper_pearson, scan_share
from medmeta.evaluation.result import Interval


def test_coverage_of_counts_by_hand() -> None:
    # Holds the truth 0.5 only when 1 of 2 is right, which happens half of the time.
    only_middle = lambda k, n: Interval(0.4, 0.6) if k == 1 else Interval(0.0, 0.0)  # noqa: E731
    assert coverage.coverage_of_counts(only_middle, 2, (0.5,)) == pytest.approx([0.5])
    assert min(coverage.coverage_of_counts(clopper_pearson, 6, coverage.SHARES)) >= 0.95


@pytest.mark.parametrize(("correct", "n"), [(0, 6), (1, 6), (5, 10), (37, 40), (40, 40)])
def test_mid_p_limits_solve_their_definition_inside_the_exact_interval(correct: int, n: int) -> None:
    found, exact = coverage.mid_p(correct, n), clopper_pearson(correct, n)
    assert exact.low <= found.low <= found.high <= exact.high

    def more(share: float) -> float:
        return (
            sum(binom.pmf(k, n, share) for k in range(correct + 1, n + 1)) + binom.pmf(correct, n, share) / 2
        )

    if correct > 0:
        assert more(found.low) == pytest.approx(0.025)
    if correct < n:
        assert 1 - more(found.high) == pytest.approx(0.025)


@pytest.mark.parametrize("n", [6, 10, 20])
def test_blakers_interval_is_inside_the_exact_one_and_never_holds_less_than_asked(n: int) -> None:
    for correct in range(n + 1):
        found, exact, mirror = (
            f(k, n)
            for f, k in (
                (coverage.blaker, correct),
                (clopper_pearson, correct),
                (coverage.blaker, n - correct),
            )
        )
        assert exact.low - 1e-4 <= found.low <= correct / n <= found.high <= exact.high + 1e-4
        assert (found.low, found.high) == pytest.approx((1 - mirror.high, 1 - mirror.low), abs=2e-4)
    shares = np.linspace(0.013, 0.987, 101)
    ours, wider = (min(coverage.coverage_of_counts(f, n, shares)) for f in (coverage.blaker, clopper_pearson))
    assert 0.949 <= ours <= wider


def test_blakers_interval_by_hand() -> None:
    # Of 3, none right: at least as unusual is none, or all three, once that is no likelier: (1-p)^3 + p^3 > 0.05 holds
    # for every share below one half; beyond, (1-p)^3 alone must be above 0.05.
    assert coverage.blaker(0, 3).high == pytest.approx(1 - 0.05 ** (1 / 3), abs=2e-4)
    assert clopper_pearson(0, 3).high == pytest.approx(1 - 0.025 ** (1 / 3))


def test_drawn_scans_have_the_share_and_the_correlation_asked_for() -> None:
    right = coverage.draw_right(0.7, 50, 5, 0.3, 2000, np.random.default_rng(0))
    assert right.shape == (2000, 50)
    assert right.mean() / 5 == pytest.approx(0.7, abs=0.005)
    # Variance of a sum of 5 equally correlated scans.
    assert right.var() == pytest.approx(5 * 0.7 * 0.3 * (1 + 4 * 0.3), rel=0.03)


def test_the_shipped_interval_of_scans_holds_and_the_naive_one_does_not() -> None:
    random = np.random.default_rng(0)
    drawn = [coverage.draw_right(share, 20, 5, 0.3, 100, random) for share in coverage.SHARES]
    ours = coverage.coverage_of_scans(lambda right, m: scan_share(right.tolist(), [m] * 20), drawn, 5)
    naive = coverage.coverage_of_scans(lambda right, m: coverage.wald(int(right.sum()), 20 * m), drawn, 5)
    assert 0.93 <= float(np.mean(ours)) <= 0.98
    assert float(np.mean(naive)) < 0.87


def test_ten_patients_of_five_scans_are_covered() -> None:
    ours, _ = coverage.coverage_of_areas(10, 5, 0.3, 300, np.random.default_rng(1))
    assert float(np.mean(ours)) > 0.94  # 0.92 with the normal quantile


def test_areas_are_covered_by_patients_and_less_by_scans() -> None:
    ours, naive = coverage.coverage_of_areas(20, 5, 0.6, 60, np.random.default_rng(0))
    assert len(ours) == len(coverage.AREAS)
    assert float(np.mean(ours)) > 0.88
    assert float(np.mean(naive)) < float(np.mean(ours)) - 0.1
