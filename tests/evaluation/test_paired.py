"""Intervals of differences: values by hand, other formulas for the same thing, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ttest_rel

from medmeta.evaluation.paired import normal_interval, patients_interval, t_interval, two_level_interval
from medmeta.evaluation.result import Interval


def limits(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def test_normal_interval_by_hand() -> None:
    # mean 0.5, deviation 0.1 * sqrt(8 / 3), standard error 0.1 * sqrt(2 / 3) = 0.081650
    assert limits(normal_interval([0.3, 0.5, 0.5, 0.7])) == pytest.approx((0.33997, 0.66003), abs=1e-5)
    assert normal_interval([0.3]) is None


def test_t_interval_is_the_paired_t_tests() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0.7, 0.1, 40), random.normal(0.6, 0.1, 40)
    expected = ttest_rel(first, second).confidence_interval(0.95)
    assert limits(t_interval(first - second)) == pytest.approx((expected.low, expected.high))
    # two data sets: one degree of freedom, t = 12.706
    assert limits(t_interval([0.02, 0.04])) == pytest.approx((0.03 - 0.12706, 0.03 + 0.12706), abs=1e-5)
    assert t_interval([0.02]) is None


def test_patients_interval_by_hand() -> None:
    # One class, three patients asked 1, 1 and 2 times; mean 0.5; they add (1 - .5), (-1 - .5) and (2 - 1) over 4.
    error = np.sqrt(3 / 2 * (0.5**2 + 1.5**2 + 1.0**2) / 16)
    found = limits(patients_interval([1, -1, 1, 1], [0, 0, 0, 0], [7, 8, 9, 9]))
    assert found == pytest.approx((0.5 - 4.302653 * error, 0.5 + 4.302653 * error), abs=1e-6)
    assert patients_interval([1, 0], [0, 1], [7, 8]) is None
    assert patients_interval([], [], []) is None


def test_patients_interval_is_a_regression_on_classes_with_a_clustered_sandwich() -> None:
    random = np.random.default_rng(1)
    m, classes, patients = 500, 3, 40
    groups = random.integers(0, patients, m)
    strata = np.where(random.random(m) < 0.8, groups % classes, random.integers(0, classes, m))
    values = (random.integers(-1, 2, m) + 0.3 * strata).astype(float)
    design = np.eye(classes)[strata]
    bread = np.linalg.inv(design.T @ design)
    residual = values - design @ (bread @ design.T @ values)
    meat = np.zeros((classes, classes))
    for patient in range(patients):
        score = design[groups == patient].T @ residual[groups == patient]
        meat += np.outer(score, score)
    share = design.mean(axis=0)
    error = np.sqrt(patients / (patients - classes) * share @ bread @ meat @ bread @ share)
    low, high = limits(patients_interval(values, strata, groups))
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(2.026192 * error, rel=1e-6)  # t with 37 degrees of freedom


def redrawn(random: np.random.Generator, episodes: int = 150) -> tuple[NDArray[np.float64], ...]:
    """A data set of 2 classes of 40 patients, each for one method, the other or neither, asked again and again."""
    gains = (
        random.choice([-1.0, 0.0, 1.0], size=40, p=[0.05, 0.35, 0.6]),
        random.choice([-1.0, 0.0, 1.0], size=40, p=[0.6, 0.35, 0.05]),
    )
    asked = [np.argsort(random.random((episodes, 40)), axis=1)[:, :15] for _ in gains]
    values = np.concatenate([gain[who] for gain, who in zip(gains, asked, strict=True)], axis=1)
    groups = np.concatenate([asked[0], asked[1] + 40], axis=1)
    strata = np.repeat([[0, 1]], 15, axis=1) + np.zeros((episodes, 1))
    return values, strata, groups


def test_patients_interval_holds_the_truth_of_other_patients_and_the_episodes_does_not() -> None:
    random = np.random.default_rng(2)
    patients, episodes, blind = [], [], []
    for _ in range(300):
        values, strata, groups = redrawn(random)
        # the true mean difference over all possible patients is (0.55 - 0.55) / 2 = 0
        low, high = limits(patients_interval(values.ravel(), strata.ravel(), groups.ravel()))
        patients.append(low <= 0 <= high)
        low, high = limits(t_interval(values.mean(axis=1)))
        episodes.append(low <= 0 <= high)
        low, high = limits(patients_interval(values.ravel(), 0 * strata.ravel(), groups.ravel()))
        blind.append(low <= 0 <= high)
    assert 0.91 <= np.mean(patients) <= 0.98
    assert np.mean(episodes) < 0.6
    assert np.mean(blind) > 0.96  # blind to classes it is wider than it needs to be


def test_two_level_interval_has_the_variance_of_its_closed_form() -> None:
    random = np.random.default_rng(3)
    sets = [
        random.normal(centre, 0.1, size) for centre, size in ((0.0, 30), (0.05, 50), (0.1, 80), (0.02, 20))
    ]
    low, high = limits(two_level_interval(sets, seed=0, draws=20_000))
    means = np.array([values.mean() for values in sets])
    variance = (means.var() + np.mean([values.var() / len(values) for values in sets])) / len(sets)
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.04)
    assert (high + low) / 2 == pytest.approx(means.mean(), abs=0.003)


def test_two_level_interval_repeats_and_needs_two_data_sets() -> None:
    sets = [np.random.default_rng(i).normal(size=20) for i in range(3)]
    assert two_level_interval(sets, seed=4) == two_level_interval(sets, seed=4)
    assert two_level_interval(sets, seed=4) != two_level_interval(sets, seed=5)
    assert two_level_interval(sets[:1], seed=4) is None
    # A data set with many episodes counts no more than one with few.
    assert limits(two_level_interval([np.zeros(500), np.ones(5)], seed=0)) == (0.0, 1.0)


def test_intervals_over_data_sets_hold_the_truth() -> None:
    random = np.random.default_rng(6)
    bootstrap, student = [], []
    for number in range(250):
        sets = [random.normal(centre, 0.1, 40) for centre in random.normal(0.03, 0.04, 12)]
        low, high = limits(two_level_interval(sets, seed=number, draws=400))
        bootstrap.append(low <= 0.03 <= high)
        low, high = limits(t_interval([values.mean() for values in sets]))
        student.append(low <= 0.03 <= high)
    assert 0.87 <= np.mean(bootstrap) <= 0.98
    assert 0.91 <= np.mean(student) <= 0.99
