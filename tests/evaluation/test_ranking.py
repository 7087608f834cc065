"""The AUROC's intervals against the definition, scipy and resampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from medmeta.evaluation import ranking


def drawn(n: int = 40, seed: int = 0) -> tuple[list[bool], list[float]]:
    random = np.random.default_rng(seed)
    flags = [bool(i % 2) for i in range(n)]
    return flags, [float(random.normal(1.2 * flag, 1.0)) for flag in flags]


def hanley_mcneil(area: float, m: float, n: float) -> float:
    """Their standard error with both sides taken as large as their mean, as Newcombe's method 5 has it."""
    q1, q2, mean = area / (2 - area), 2 * area**2 / (1 + area), (m + n) / 2
    return float(
        np.sqrt((area * (1 - area) + (mean - 1) * (q1 - area**2) + (mean - 1) * (q2 - area**2)) / (m * n))
    )


def test_each_limit_is_as_far_off_as_its_own_error_allows() -> None:
    flags, scores = drawn()
    found = ranking.auroc_interval(flags, scores, [str(i) for i in range(40)])
    own = [s for s, f in zip(scores, flags, strict=True) if f]
    others = [s for s, f in zip(scores, flags, strict=True) if not f]
    area = mannwhitneyu(own, others).statistic / (len(own) * len(others))
    z = norm.ppf(0.975)
    assert area - found.low == pytest.approx(z * hanley_mcneil(found.low, len(own), len(others)))
    assert found.high - area == pytest.approx(z * hanley_mcneil(found.high, len(own), len(others)))


def test_copies_of_a_patients_scans_bring_no_certainty() -> None:
    flags, scores = drawn()
    once = ranking.auroc_interval(flags, scores, [str(i) for i in range(40)])
    five = ranking.auroc_interval(flags * 5, scores * 5, [str(i) for i in range(40)] * 5)
    naive = ranking.auroc_interval(flags * 5, scores * 5, [str(i) for i in range(200)])
    assert (five.low, five.high) == pytest.approx((once.low, once.high))
    assert naive.high - naive.low < 0.5 * (once.high - once.low)


def test_independent_scans_of_a_patient_count_nearly_whole() -> None:
    flags, scores = drawn(400, seed=5)
    apart = ranking.auroc_interval(flags, scores, [str(i) for i in range(400)])
    # Patients whose scans are not alike: each has four drawn at random.
    joined = ranking.auroc_interval(flags, scores, [str(i % 2 + 2 * (i // 8)) for i in range(400)])
    width = apart.high - apart.low
    assert width <= joined.high - joined.low < 1.35 * width


def test_one_variance_for_pairs_and_for_patients() -> None:
    """DeLong's variance, counted by hand."""
    flags, scores = drawn()
    own = [s for s, f in zip(scores, flags, strict=True) if f]
    others = [s for s, f in zip(scores, flags, strict=True) if not f]
    first = [np.mean([float(x > y) for y in others]) for x in own]
    second = [np.mean([float(x > y) for x in own]) for y in others]
    kernel, mine, theirs = ranking._pairs(flags, scores, [str(i) for i in range(40)])
    expected = np.var(first, ddof=1) / len(own) + np.var(second, ddof=1) / len(others)
    assert ranking._variance(kernel, mine, theirs) == pytest.approx(expected)


def test_the_bootstrap_agrees_with_delong_and_resamples_patients() -> None:
    flags, scores = drawn(200, seed=3)
    groups = [str(i // 4) for i in range(200)]
    delong = ranking.auroc_interval(flags, scores, groups)
    boot = ranking.bootstrap_auroc(flags, scores, groups, seed=0)
    assert (boot.low, boot.high) == pytest.approx((delong.low, delong.high), abs=0.02)
    assert boot == ranking.bootstrap_auroc(flags, scores, groups, seed=0)
    assert boot != ranking.bootstrap_auroc(flags, scores, groups, seed=1)
    copies = ranking.bootstrap_auroc(flags * 3, scores * 3, groups * 3, seed=0)
    assert (copies.low, copies.high) == pytest.approx((boot.low, boot.high))


def test_a_perfect_ranking_keeps_a_width_that_shrinks_with_patients() -> None:
    limits = []
    for n in (6, 20, 60):
        flags, scores = [True] * n + [False] * n, [2.0] * n + [1.0] * n
        groups = [str(i) for i in range(2 * n)]
        found = ranking.auroc_interval(flags, scores, groups)
        wrong = ranking.auroc_interval(flags, [-s for s in scores], groups)
        assert (found.high, wrong.low) == (1.0, 0.0)
        assert wrong.high == pytest.approx(1 - found.low)
        limits.append(found.low)
    assert 0.5 < limits[0] < limits[1] < limits[2] < 1


def test_one_patient_with_many_scans_does_not_empty_the_other_side() -> None:
    flags = [True] * 40 + [False] * 6
    scores = [float(i % 7) for i in range(46)]
    groups = ["one"] * 38 + ["two", "three"] + [f"other {i}" for i in range(6)]
    found = ranking.auroc_interval(flags, scores, groups)
    assert 0 <= found.low < found.high <= 1


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(ValueError, match="2 patients on each side"):
        ranking.auroc_interval([True, True, False, False], [1, 2, 0, 3], ["a", "a", "b", "c"])
    with pytest.raises(ValueError, match="both sides"):
        ranking.bootstrap_auroc([True, True], [1, 2], ["a", "b"], seed=0)
