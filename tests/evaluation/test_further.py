"""Each figure is scikit-learn's where there are patients enough, and a reason in words where not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from medmeta.evaluation.further import MINIMA, NO_SPREAD, further_figures, reliability_points
from medmeta.evaluation.intervals import wilson
from medmeta.evaluation.result import Case, Figure

CLASSES = ("a", "b", "c")


def cases(patients: int, scans: int = 2, seed: int = 0) -> list[Case]:
    random = np.random.default_rng(seed)
    found = []
    for number in range(patients * scans):
        patient = number // scans
        target = patient % 3
        p = random.dirichlet(1 + 2.0 * (np.arange(3) == target))
        answer = CLASSES[int(p.argmax())]
        found.append(
            Case(
                f"f{number}",
                f"i{number}",
                f"P{patient}",
                CLASSES[target],
                answer,
                tuple(map(float, p)),
                False,
                0,
            )
        )
    return found


def by_name(figures: tuple[Figure, ...], name: str, of: str = "") -> Figure:
    (found,) = [figure for figure in figures if figure.name.startswith(name) and figure.of == of][:1]
    return found


def test_values_are_scikit_learns_and_inside_their_intervals() -> None:
    drawn = cases(60)
    figures = further_figures(drawn, CLASSES, seed=0)
    truth, said = [case.label for case in drawn], [case.predicted for case in drawn]
    p = np.array([case.probabilities for case in drawn])
    expected = {
        "balanced accuracy": reference.balanced_accuracy_score(truth, said),
        "Cohen's kappa": reference.cohen_kappa_score(truth, said),
        "MCC": reference.matthews_corrcoef(truth, said),
    }
    for name, value in expected.items():
        assert by_name(figures, name).value == pytest.approx(value)
    for i, label in enumerate(CLASSES):
        own = [t == label for t in truth]
        assert by_name(figures, "F1", label).value == pytest.approx(
            reference.f1_score(truth, said, labels=[label], average="macro")
        )
        assert by_name(figures, "AUROC", label).value == pytest.approx(reference.roc_auc_score(own, p[:, i]))
    for figure in figures:
        assert figure.why_not == ""
        assert figure.value is not None
        if figure.name != "calibration error":
            assert figure.interval is not None
            assert figure.interval.low <= figure.value <= figure.interval.high
    assert sum(point.n_scans for point in reliability_points(drawn, CLASSES)) == 120


def test_the_intervals_count_patients() -> None:
    single = cases(60, 1)
    copied = [case for case in single for _ in range(4)]
    one, four = (further_figures(each, CLASSES, seed=0) for each in (single, copied))
    for a, b in zip(one, four, strict=True):
        assert a.value == pytest.approx(b.value)
        if a.interval is not None:
            assert b.interval is not None
            assert (a.interval.low, a.interval.high) == pytest.approx((b.interval.low, b.interval.high))


def test_too_few_patients_give_a_reason_and_no_value() -> None:
    figures = further_figures(cases(12), CLASSES, seed=0)
    kappa = by_name(figures, "Cohen's kappa")
    assert kappa == Figure(
        "Cohen's kappa", "", None, None, 12,
        "needs 20 patients, found 12: an interval from resampled patients is too narrow with fewer",
    )  # fmt: skip
    assert (
        "needs 5 patients with it and as many without, found 4 and 8" in by_name(figures, "PPV", "a").why_not
    )
    assert "needs 5 patients with it" in by_name(figures, "AUROC", "b").why_not
    assert all((figure.value is None) == bool(figure.why_not) for figure in figures)
    assert reliability_points(cases(12), CLASSES) == ()
    first, *rest = figures
    assert first.name == "patients right, Wilson's interval"
    assert first.interval == wilson(round(12 * (first.value or 0)), 12)
    assert set(MINIMA) == {figure.name.split(" where")[0] for figure in rest}


def test_a_figure_whose_resamples_are_all_equal_is_not_given() -> None:
    right = [
        Case(
            file=f"f{n}", scan_id=f"s{n}", group=f"P{n}", label="ab"[n % 2], predicted="ab"[n % 2],
            probabilities=(0.9, 0.1) if n % 2 == 0 else (0.1, 0.9), abstained=False, out_of_domain=1.0, nearest=(),
        )
        for n in range(20)
    ]  # fmt: skip
    figures = further_figures(right, ("a", "b"), seed=0)
    for name in ("balanced accuracy", "Cohen's kappa", "MCC", "F1", "AUROC, resampled patients"):
        figure = next(each for each in figures if each.name == name)
        assert (figure.value, figure.why_not) == (None, NO_SPREAD)
    assert figures[0].interval == wilson(20, 20)
    area = next(each for each in figures if each.name == "AUROC")
    assert area.value == 1.0
    assert area.interval is not None
    assert area.interval.low < 0.95


def test_resampling_asks_for_ten_patients_of_each_class() -> None:
    drawn = [case for case in cases(60) if case.label != "c" or int(case.group[1:]) < 12]
    assert len({case.group for case in drawn}) > 20
    kappa = by_name(further_figures(drawn, CLASSES, seed=0), "Cohen's kappa")
    assert kappa.value is None
    assert "needs 10 patients of each class, found 4" in kappa.why_not


def test_prevalence_is_stated_and_moves_the_predictive_values() -> None:
    drawn = cases(60)
    rare = by_name(further_figures(drawn, CLASSES, seed=0, prevalence=0.01), "PPV", "a")
    common = by_name(further_figures(drawn, CLASSES, seed=0, prevalence=0.5), "PPV", "a")
    assert rare.name == "PPV where 1 in 100 have it"
    assert rare.value is not None
    assert common.value is not None
    assert rare.value < common.value


def test_an_answer_never_given_has_no_ppv() -> None:
    drawn = [Case(f"f{i}", f"i{i}", f"P{i}", "ab"[i % 2], "b", (0.4, 0.6), False, 0.0) for i in range(24)]
    figures = further_figures(drawn, ("a", "b"), seed=0)
    assert "never gave such an answer" in by_name(figures, "PPV", "a").why_not
    assert "does not exist" in by_name(figures, "MCC").why_not
