"""Brier score and reliability against scikit-learn and against reckoning by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from medmeta.evaluation import calibration
from medmeta.evaluation.result import ReliabilityPoint


def test_brier_equals_scikit_learn_for_two_classes() -> None:
    random = np.random.default_rng(0)
    p, truth = random.random(50), random.integers(0, 2, 50)
    found = calibration.brier(np.stack([1 - p, p], axis=1), truth)
    assert found.shape == (50,)
    assert found.mean() == pytest.approx(brier_score_loss(truth, p))


def test_brier_of_three_classes_by_hand() -> None:
    p = np.array([[1.0, 0.0, 0.0], [0.5, 0.3, 0.2]])
    assert calibration.brier(p, np.array([0, 1])) == pytest.approx([0.0, (0.25 + 0.49 + 0.04) / 2])
    assert calibration.brier(p[:1], np.array([2])) == pytest.approx([1.0])


def test_reliability_equals_scikit_learns_curve() -> None:
    random = np.random.default_rng(1)
    p = random.dirichlet((1, 1), 300)
    truth = random.integers(0, 2, 300)
    points = calibration.reliability(p, truth, bins=5)
    right, confidence = calibration_curve(p.argmax(axis=1) == truth, p.max(axis=1), n_bins=5)
    assert [point.right for point in points] == pytest.approx(list(right))
    assert [point.confidence for point in points] == pytest.approx(list(confidence))
    assert sum(point.n_scans for point in points) == 300


def test_calibration_error_by_hand() -> None:
    # Four answers at 0.9, three right; one answer at 0.55, wrong.
    p = np.array([[0.9, 0.1]] * 4 + [[0.55, 0.45]])
    points = calibration.reliability(p, np.array([0, 0, 0, 1, 1]), bins=5)
    assert points == (
        ReliabilityPoint(pytest.approx(0.55), 0.0, 1),
        ReliabilityPoint(pytest.approx(0.9), 0.75, 4),
    )
    assert calibration.calibration_error(points) == pytest.approx(0.2 * 0.55 + 0.8 * 0.15)


@pytest.mark.parametrize(("patients", "said"), [(50, 0.08), (200, 0.04)])
def test_what_chance_alone_makes_is_as_the_reports_say(patients: int, said: float) -> None:
    random = np.random.default_rng(0)
    errors = []
    for _ in range(400):
        sure = random.uniform(0.5, 1.0, patients)
        right = random.random(patients) < sure
        probabilities = np.stack([sure, 1 - sure], axis=1)
        points = calibration.reliability(probabilities, np.where(right, 0, 1))
        errors.append(calibration.calibration_error(points))
    assert np.mean(errors) == pytest.approx(said, abs=0.01)
