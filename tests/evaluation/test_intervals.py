"""Intervals against published values, scipy's own exact test and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import beta, binomtest, norm

from medmeta.evaluation.intervals import (
    clopper_pearson,
    clustered_accuracy,
    paired_difference,
    scan_share,
    wilson,
)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (8, 10), (1, 1), (13, 15), (97, 200)])
def test_clopper_pearson_equals_scipys_exact_interval(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(0.95, method="exact")
    found = clopper_pearson(k, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_failure_among_n_has_the_closed_form() -> None:
    assert clopper_pearson(10, 10).low == pytest.approx(0.025 ** (1 / 10))
    assert clopper_pearson(0, 10).high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_real_valued_counts_lie_between_the_whole_ones() -> None:
    lows = [clopper_pearson(k, 10).low for k in (7, 7.25, 7.5, 8)]
    highs = [clopper_pearson(k, 10).high for k in (7, 7.25, 7.5, 8)]
    assert lows == sorted(lows)
    assert highs == sorted(highs)
    assert len(set(lows)) == 4


def test_clustered_accuracy_counts_patients_and_not_scans() -> None:
    assert clustered_accuracy(0.8, 10) == clopper_pearson(8, 10)
    over_scans = clopper_pearson(80, 100)
    over_patients = clustered_accuracy(0.8, 10)
    assert over_patients.low < over_scans.low
    assert over_patients.high > over_scans.high


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="found"):
        clopper_pearson(k, n)


def test_paired_difference_equals_published_examples() -> None:
    # Fagerland, Lydersen, Laake, Statistical Analysis of Contingency Tables, chapter 8: Tango's interval for
    # Bentur 2009 (1, 1 / 7, 12) and Cavo 2012 (59, 6 / 16, 80).
    bentur, cavo = paired_difference(1, 7, 21), paired_difference(6, 16, 161)
    assert (bentur.low, bentur.high) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert (cavo.low, cavo.high) == pytest.approx((-0.1240, -0.0054), abs=5e-5)


def test_paired_difference_inverts_the_score_test_by_brute_force() -> None:
    """At each limit the score with a numerically found nuisance parameter equals the normal quantile."""

    def score(first: int, second: int, n: int, difference: float) -> float:
        def minus_likelihood(q: float) -> float:
            p = (q + difference, q, 1 - 2 * q - difference)
            counts = (first, second, n - first - second)
            return -sum(c * math.log(max(x, 1e-300)) for c, x in zip(counts, p, strict=True) if c)

        low, high = max(0.0, -difference), (1 - difference) / 2
        q = minimize_scalar(
            minus_likelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-13}
        ).x
        variance = (2 * q + difference - difference**2) / n
        return ((first - second) / n - difference) / math.sqrt(variance)

    z = norm.ppf(0.975)
    for first, second, n in [(4, 1, 15), (2, 5, 9), (6, 2, 30), (3, 3, 12)]:
        interval = paired_difference(first, second, n)
        assert score(first, second, n, interval.low) == pytest.approx(z, abs=1e-4)
        assert score(first, second, n, interval.high) == pytest.approx(-z, abs=1e-4)


def test_paired_difference_is_sound_for_every_small_table() -> None:
    for n in range(1, 9):
        for first, second in itertools.product(range(n + 1), repeat=2):
            if first + second > n:
                continue
            interval = paired_difference(first, second, n)
            mirrored = paired_difference(second, first, n)
            assert -1 <= interval.low <= (first - second) / n <= interval.high <= 1
            assert interval.low < interval.high
            assert (interval.low, interval.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)


def test_no_differing_patient_still_leaves_doubt() -> None:
    # With b = c = 0 the score equation has the closed form z^2 / (n + z^2).
    z2 = norm.ppf(0.975) ** 2
    interval = paired_difference(0, 0, 10)
    assert interval.high == pytest.approx(z2 / (10 + z2), abs=1e-9)
    assert interval.low == pytest.approx(-interval.high, abs=1e-9)


def test_paired_interval_covers_about_95_percent_at_15_patients() -> None:
    rng = np.random.default_rng(0)
    p = (0.25, 0.10, 0.65)
    draws = rng.multinomial(15, p, size=3000)
    tables, counts = np.unique(draws, axis=0, return_counts=True)
    inside = 0
    for (first, second, _), count in zip(tables, counts, strict=True):
        interval = paired_difference(int(first), int(second), 15)
        inside += int(count) * (interval.low <= p[0] - p[1] <= interval.high)
    assert 0.92 <= inside / 3000 <= 0.985


@pytest.mark.parametrize(("correct", "n"), [(0, 6), (1, 6), (5, 10), (37, 40), (40, 40)])
def test_wilson_equals_scipy(correct: int, n: int) -> None:
    expected = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    found = wilson(correct, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_wilson_refuses_what_is_no_count() -> None:
    with pytest.raises(ValueError, match="0 <= correct <= n"):
        wilson(3, 2)


def test_scans_that_agree_within_patients_count_as_patients() -> None:
    together = scan_share([5, 5, 5, 5, 0, 0], [5] * 6)
    assert together == clopper_pearson(4, 6)
    assert scan_share([1, 1, 1, 1, 0, 0], [1] * 6) == clopper_pearson(4, 6)
    assert scan_share([5] * 6, [5] * 6) == clopper_pearson(6, 6)
    assert scan_share([3] * 6, [5] * 6) == clopper_pearson(18, 30)


def test_scans_of_one_patient_that_differ_count_by_the_variance_between_patients() -> None:
    right, scans = [4, 3, 5, 1, 2, 5], [5] * 6
    shares = np.array(right) / 5
    # With equal sizes the variance of the mean is that of the patients' shares.
    worth = shares.mean() * (1 - shares.mean()) / (shares.var(ddof=1) / 6)
    assert 6 < worth < 30
    found = scan_share(right, scans)
    low, high = beta.ppf([0.025, 0.975], [shares.mean() * worth, shares.mean() * worth + 1],
                         [worth * (1 - shares.mean()) + 1, worth * (1 - shares.mean())])  # fmt: skip
    assert (found.low, found.high) == pytest.approx((low, high))


def test_scan_share_refuses_what_does_not_fit() -> None:
    for right, scans in (([], []), ([2], [1]), ([1, 1], [1]), ([0], [0])):
        with pytest.raises(ValueError, match="patients"):
            scan_share(right, scans)
