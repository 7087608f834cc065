"""Kappa, MCC, F1 and balanced accuracy against scikit-learn; predictive values against counting people."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from medmeta.evaluation import agreement
from medmeta.evaluation.result import Interval


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_equal_to_scikit_learn_one_by_one_and_together(n_classes: int) -> None:
    random = np.random.default_rng(n_classes)
    matrices = []
    for _ in range(20):
        truth = random.integers(0, n_classes, 40)
        said = np.where(random.random(40) < 0.5, truth, random.integers(0, n_classes, 40))
        matrix = reference.confusion_matrix(truth, said, labels=range(n_classes))
        matrices.append(matrix)
        assert agreement.cohens_kappa(matrix) == pytest.approx(reference.cohen_kappa_score(truth, said))
        assert agreement.matthews(matrix) == pytest.approx(reference.matthews_corrcoef(truth, said))
        assert agreement.balanced_accuracy(matrix) == pytest.approx(
            reference.balanced_accuracy_score(truth, said)
        )
        expected = reference.f1_score(truth, said, average=None, labels=range(n_classes))
        assert [agreement.f1(matrix, i) for i in range(n_classes)] == pytest.approx(list(expected))
    together = np.stack(matrices)
    assert agreement.matthews(together) == pytest.approx([float(agreement.matthews(m)) for m in matrices])
    assert agreement.cohens_kappa(together).shape == (20,)


def test_what_does_not_exist_is_nan() -> None:
    one_class = [[4, 0], [0, 0]]
    assert np.isnan(agreement.cohens_kappa(one_class))
    assert np.isnan(agreement.matthews(one_class))
    assert np.isnan(agreement.f1(one_class, 1))
    assert agreement.balanced_accuracy(one_class) == 1.0
    assert np.isnan(agreement.balanced_accuracy([[0, 0], [0, 0]]))


def test_predictive_values_by_counting_a_thousand_people() -> None:
    # 100 of 1000 have it; 90 of them are called. Of the 900 others 180 are called.
    found = agreement.predictive_values(0.9, 0.8, 0.1)
    assert found.positive == pytest.approx(90 / 270)
    assert found.negative == pytest.approx(720 / 730)
    # At the mix of the tested scans the values are those of the matrix.
    matrix = np.array([[18, 2], [6, 24]])
    mixed = agreement.predictive_values(18 / 20, 24 / 30, 20 / 50)
    assert mixed.positive == pytest.approx(18 / 24)
    assert mixed.negative == pytest.approx(24 / 26)
    assert matrix.sum() == 50


def test_predictive_values_that_do_not_exist_and_false_shares() -> None:
    assert agreement.predictive_values(0.0, 1.0, 0.5).positive is None
    assert agreement.predictive_values(1.0, 0.0, 0.5).negative is None
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], found 0.5, 0.5 and 10"):
        agreement.predictive_values(0.5, 0.5, 10)


def test_predictive_intervals_hold_the_values_of_every_pair_inside() -> None:
    sensitivity, specificity = Interval(0.4, 0.9), Interval(0.6, 1.0)
    positive, negative = agreement.predictive_intervals(sensitivity, specificity, 0.2)
    for one in np.linspace(0.4, 0.9, 6):
        for other in np.linspace(0.6, 1.0, 5):
            values = agreement.predictive_values(float(one), float(other), 0.2)
            assert values.positive is not None
            assert values.negative is not None
            assert positive.low - 1e-12 <= values.positive <= positive.high + 1e-12
            assert negative.low - 1e-12 <= values.negative <= negative.high + 1e-12
