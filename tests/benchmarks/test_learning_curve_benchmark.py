"""The simulated classes have the accuracy that the closed form says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import learning_curve as bench


@pytest.mark.parametrize("shots", [1, 4])
def test_the_truth_is_that_of_the_simulated_classes(shots: int) -> None:
    random = np.random.default_rng(0)
    right: list[bool] = []
    for _ in range(150):
        model = bench.MeanLearner().adapt(bench.simulated(shots, 1.5, random))
        new = bench.simulated(10, 1.5, random)
        said = model.predict(new.scans).labels
        right += [label == own for label, own in zip(said, new.labels, strict=True)]
    assert np.mean(right) == pytest.approx(bench.truth(shots, 1.5), abs=0.03)
    assert bench.truth(10**6, 6.0) == pytest.approx(0.99865, abs=1e-4)


def test_eight_patients_in_five_folds_leave_six_or_seven() -> None:
    by_hand = (6 * bench.truth(6, 1.5) + 2 * bench.truth(7, 1.5)) / 8
    assert bench.truth_divided(8, 1.5) == pytest.approx(by_hand)
    assert bench.truth_divided(5, 1.5) == pytest.approx(bench.truth(4, 1.5))
