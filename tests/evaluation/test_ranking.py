"""The AUROC's intervals against the definition, scipy and resampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, t

from medmeta.evaluation import ranking
from medmeta.evaluation.intervals import clopper_pearson


def drawn(n: int = 40, seed: int = 0) -> tuple[list[bool], list[float]]:
    random = np.random.default_rng(seed)
    flags = [bool(i % 2) for i in range(n)]
    return flags, [float(random.normal(1.2 * flag, 1.0)) for flag in flags]


def half_width(interval: object) -> float:
    low, high = interval.low, interval.high  # type: ignore[attr-defined]
    return float(np.log(high / (1 - high)) - np.log(low / (1 - low))) / 2


def test_one_scan_a_patient_is_delongs_variance_counted_pair_by_pair() -> None:
    flags, scores = drawn()
    found = ranking.delong(flags, scores, [str(i) for i in range(40)])
    own = [s for s, f in zip(scores, flags, strict=True) if f]
    others = [s for s, f in zip(scores, flags, strict=True) if not f]
    area = mannwhitneyu(own, others).statistic / (len(own) * len(others))
    first = [np.mean([float(x > y) for y in others]) for x in own]
    second = [np.mean([float(x > y) for x in own]) for y in others]
    variance = np.var(first, ddof=1) / len(own) + np.var(second, ddof=1) / len(others)
    expected = t.ppf(0.975, 38) * np.sqrt(variance) / (area * (1 - area))
    assert half_width(found) == pytest.approx(expected)
    middle = (np.log(found.low / (1 - found.low)) + np.log(found.high / (1 - found.high))) / 2
    assert 1 / (1 + np.exp(-middle)) == pytest.approx(area)


def test_copies_of_a_patients_scans_bring_no_certainty() -> None:
    flags, scores = drawn()
    once = ranking.delong(flags, scores, [str(i) for i in range(40)])
    five = ranking.delong(flags * 5, scores * 5, [str(i) for i in range(40)] * 5)
    naive = ranking.delong(flags * 5, scores * 5, [str(i) for i in range(200)])
    assert (five.low, five.high) == pytest.approx((once.low, once.high))
    assert half_width(naive) < 0.5 * half_width(once)


def test_the_bootstrap_agrees_with_delong_and_resamples_patients() -> None:
    flags, scores = drawn(200, seed=3)
    groups = [str(i // 4) for i in range(200)]
    delong = ranking.delong(flags, scores, groups)
    boot = ranking.bootstrap_auroc(flags, scores, groups, seed=0)
    assert (boot.low, boot.high) == pytest.approx((delong.low, delong.high), abs=0.02)
    assert boot == ranking.bootstrap_auroc(flags, scores, groups, seed=0)
    assert boot != ranking.bootstrap_auroc(flags, scores, groups, seed=1)
    copies = ranking.bootstrap_auroc(flags * 3, scores * 3, groups * 3, seed=0)
    assert (copies.low, copies.high) == pytest.approx((boot.low, boot.high))


def test_a_perfect_ranking_keeps_the_exact_width() -> None:
    flags, scores = [True] * 6 + [False] * 9, [2.0] * 6 + [1.0] * 9
    groups = [str(i) for i in range(15)]
    assert ranking.delong(flags, scores, groups) == clopper_pearson(6, 6)
    assert ranking.delong(flags, [-s for s in scores], groups) == clopper_pearson(0, 6)


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(ValueError, match="2 patients on each side"):
        ranking.delong([True, True, False, False], [1, 2, 0, 3], ["a", "a", "b", "c"])
    with pytest.raises(ValueError, match="both sides"):
        ranking.bootstrap_auroc([True, True], [1, 2], ["a", "b"], seed=0)
