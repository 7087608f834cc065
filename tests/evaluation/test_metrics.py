"""Metrics against scikit-learn and against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from medmeta.evaluation import metrics
from medmeta.evaluation.intervals import clopper_pearson
from medmeta.evaluation.result import Case

CLASSES = ("a", "b", "c")


def case(group: str, label: str, probabilities: tuple[float, ...], file: str = "f") -> Case:
    predicted = CLASSES[int(np.argmax(probabilities))]
    return Case(file, f"id-{file}-{group}", group, label, predicted, probabilities, False, 0.0)


@pytest.fixture
def drawn() -> list[Case]:
    rng = np.random.default_rng(3)
    p = rng.dirichlet((1, 1, 1), size=60)
    return [
        case(f"P{i}", CLASSES[int(rng.integers(3))], tuple(map(float, row)), f"f{i}")
        for i, row in enumerate(p)
    ]


def test_confusion_and_rates_equal_scikit_learn(drawn: list[Case]) -> None:
    truth = [CLASSES.index(c.label) for c in drawn]
    predicted = [CLASSES.index(c.predicted) for c in drawn]
    confusion = metrics.confusion_matrix(truth, predicted, 3)
    assert np.array_equal(confusion, reference.confusion_matrix(truth, predicted))
    assert metrics.accuracy(confusion) == pytest.approx(reference.accuracy_score(truth, predicted))
    assert metrics.balanced_accuracy(confusion) == pytest.approx(
        reference.balanced_accuracy_score(truth, predicted)
    )
    recall = reference.recall_score(truth, predicted, average=None)
    for i in range(3):
        is_other = [int(t != i) for t in truth]
        not_called = [int(p != i) for p in predicted]
        assert metrics.sensitivity(confusion, i) == pytest.approx(recall[i])
        assert metrics.specificity(confusion, i) == pytest.approx(
            reference.recall_score(is_other, not_called)
        )


def test_auroc_equals_scikit_learn_and_is_none_for_one_side(drawn: list[Case]) -> None:
    figures = metrics.class_figures(
        drawn,
        CLASSES,
        metrics.confusion_matrix(
            [CLASSES.index(c.label) for c in drawn], [CLASSES.index(c.predicted) for c in drawn], 3
        ),
    )
    expected = reference.roc_auc_score(
        [CLASSES.index(c.label) for c in drawn],
        np.array([c.probabilities for c in drawn]),
        multi_class="ovr",
        average="macro",
    )
    assert metrics.mean_auroc(figures) == pytest.approx(expected)
    assert metrics.auroc([True, True], [0.1, 0.2]) is None
    assert metrics.auroc([False], [0.1]) is None
    # By hand: of the 2 x 2 pairs one is ordered wrongly and one tied: (2 + 0.5) / 4.
    assert metrics.auroc([True, True, False, False], [0.9, 0.4, 0.4, 0.5]) == pytest.approx(2.5 / 4)


def test_absent_classes_have_no_figures() -> None:
    cases = [case("P1", "a", (0.8, 0.1, 0.1)), case("P2", "b", (0.6, 0.3, 0.1))]
    confusion = metrics.confusion_matrix([0, 1], [0, 0], 3)
    assert confusion == ((1, 0, 0), (1, 0, 0), (0, 0, 0))
    figures = metrics.class_figures(cases, CLASSES, confusion)
    assert figures[2].sensitivity is None
    assert figures[2].sensitivity_interval is None
    assert figures[2].auroc is None
    assert figures[2].specificity == 1.0
    assert figures[0].specificity == 0.0
    assert metrics.balanced_accuracy(confusion) == 0.5


def test_specificity_is_none_without_another_class() -> None:
    assert metrics.specificity(((3, 1), (0, 0)), 0) is None
    assert metrics.specificity(((3, 1), (0, 0)), 1) == 0.75


def test_figures_refuse_no_scans() -> None:
    with pytest.raises(ValueError, match="at least one"):
        metrics.accuracy(((0, 0), (0, 0)))
    with pytest.raises(ValueError, match="at least one"):
        metrics.balanced_accuracy(((0, 0), (0, 0)))


def test_a_patient_counts_once_by_the_mean_probability() -> None:
    cases = [
        # One confident right scan outweighs two slight mistakes: mean of a is (.9 + .4 + .4) / 3.
        case("P1", "a", (0.9, 0.1, 0.0), "1"),
        case("P1", "a", (0.4, 0.6, 0.0), "2"),
        case("P1", "a", (0.4, 0.6, 0.0), "3"),
        # Two slight right scans do not outweigh a confident mistake.
        case("P2", "b", (0.4, 0.6, 0.0), "4"),
        case("P2", "b", (0.9, 0.1, 0.0), "5"),
        case("P3", "c", (0.0, 0.0, 1.0), "6"),
    ]
    right = metrics.patients_right(cases, CLASSES)
    assert right == {"P1": True, "P2": False, "P3": True}
    count = metrics.count_patients(right)
    assert (count.correct, count.n) == (2, 3)
    assert count.interval == clopper_pearson(2, 3)


def test_a_patient_with_two_labels_needs_both_right() -> None:
    both = [case("P1", "a", (0.9, 0.1, 0.0)), case("P1", "b", (0.1, 0.9, 0.0))]
    one = [case("P1", "a", (0.9, 0.1, 0.0)), case("P1", "b", (0.8, 0.2, 0.0))]
    assert metrics.patients_right(both, CLASSES) == {"P1": True}
    assert metrics.patients_right(one, CLASSES) == {"P1": False}
    assert metrics.patients_right(one[::-1], CLASSES) == {"P1": False}


def test_a_tie_over_several_scans_is_no_answer() -> None:
    tied = [case("P1", "a", (1.0, 0.0, 0.0)), case("P1", "a", (0.0, 1.0, 0.0))]
    assert metrics.patients_right(tied, CLASSES) == {"P1": False}


def test_class_intervals_count_the_patients_of_the_class() -> None:
    cases = [case("P1", "a", (0.9, 0.1, 0.0), str(i)) for i in range(10)] + [case("P2", "b", (0.1, 0.9, 0.0))]
    confusion = metrics.confusion_matrix([0] * 10 + [1], [0] * 10 + [1], 3)
    figures = metrics.class_figures(cases, CLASSES, confusion)[0]
    assert (figures.n_scans, figures.n_groups) == (10, 1)
    assert figures.sensitivity_interval == clopper_pearson(1, 1)
