"""Thresholds and abstention counted by hand, and net benefit by the utilities of single persons."""

from __future__ import annotations

import numpy as np
import pytest

from medmeta.evaluation.decision import (
    AbstentionPoint,
    abstention_curve,
    threshold_point,
    threshold_rates,
    why_no_abstention,
    why_no_threshold,
)
from medmeta.evaluation.intervals import clopper_pearson
from medmeta.evaluation.result import Case


def case(group: str, label: str, p: float, name: str = "") -> Case:
    return Case(
        name or group, f"{group}{name}", group, label, "a" if p > 0.5 else "b", (p, 1 - p), False, 0.0
    )


def test_abstention_by_hand() -> None:
    cases = [
        case("P1", "a", 0.9), case("P2", "a", 0.6), case("P3", "b", 0.7), case("P4", "b", 0.2),
        # Two scans of one patient: sure at their mean, 0.75.
        case("P5", "a", 0.9, "1"), case("P5", "a", 0.6, "2"),
    ]  # fmt: skip
    curve = abstention_curve(cases, ("a", "b"))
    assert [(round(point.threshold, 9), point.right, point.answered) for point in curve] == [
        (0.6, 4, 5), (0.7, 3, 4), (0.75, 3, 3), (0.8, 2, 2), (0.9, 1, 1),
    ]  # fmt: skip
    assert curve[0] == AbstentionPoint(0.6, 5, 4, clopper_pearson(4, 5))


def test_counts_and_net_benefit_by_adding_up_persons() -> None:
    random = np.random.default_rng(0)
    cases = [case(f"P{i}", "ab"[i % 4 > 0], float(random.random())) for i in range(40)]
    found = threshold_point(cases, ("a", "b"), "a", 0.25, prevalence=0.25)  # the cases' own mix
    called = [c for c in cases if c.probabilities[0] >= 0.25]
    true = sum(c.label == "a" for c in called)
    assert (found.true_calls, found.false_calls) == (true, len(called) - true)
    assert (found.missed, found.spared) == (10 - true, 30 - len(called) + true)
    # A true call brings 1, a false one costs 1/3 at this threshold.
    persons = [(1.0 if c.label == "a" else -1 / 3) for c in called]
    assert found.net_benefit == pytest.approx(sum(persons) / 40)
    assert found.call_all == pytest.approx((10 - 30 / 3) / 40)


def test_prevalence_weighs_the_two_sides() -> None:
    cases = [case("P1", "a", 0.9), case("P2", "b", 0.1)]
    assert threshold_point(cases, ("a", "b"), "a", 0.5, prevalence=0.1).net_benefit == pytest.approx(0.1)
    assert threshold_point(cases, ("a", "b"), "b", 0.5, prevalence=0.3).net_benefit == pytest.approx(0.3)


def test_what_cannot_be_counted_is_refused() -> None:
    cases = [case("P1", "a", 0.9), case("P2", "b", 0.1)]
    with pytest.raises(ValueError, match="threshold of 1"):
        threshold_point(cases, ("a", "b"), "a", 1.0, 0.1)
    with pytest.raises(ValueError, match="found 1 and 0"):
        threshold_point(cases[:1], ("a", "b"), "a", 0.5, 0.1)


def test_rates_by_hand_count_patients() -> None:
    # Class a: 3 of 4 scans from 0.3 on, in 2 patients. Others: 1 of 5 called, in 5 patients.
    cases = [
        case("P1", "a", 0.9, "1"),
        case("P1", "a", 0.3, "2"),
        case("P2", "a", 0.4, "1"),
        case("P2", "a", 0.1, "2"),
    ]
    cases += [case(f"Q{i}", "b", p) for i, p in enumerate((0.8, 0.2, 0.1, 0.1, 0.29))]
    point = threshold_point(cases, ("a", "b"), "a", 0.3, 0.1)
    rates = threshold_rates(point, cases, "a")
    assert (rates.sensitivity, rates.patients) == (0.75, 2)
    assert rates.sensitivity_interval == clopper_pearson(1.5, 2)
    assert rates.specificity == pytest.approx(0.8)
    assert rates.other_patients == 5
    assert rates.specificity_interval == clopper_pearson(0.8 * 5, 5)


def test_too_few_patients_give_the_reason_and_enough_give_none() -> None:
    # Many scans of few patients are not many patients.
    few = [case(f"P{i % 4}", "a", 0.9, str(i)) for i in range(40)] + [
        case(f"Q{i}", "b", 0.1) for i in range(5)
    ]
    why = why_no_threshold(few, "a")
    assert why is not None
    assert why.startswith("needs 5 patients with it and as many without, found 4 and 5")
    silent = why_no_abstention(few)
    assert silent is not None
    assert silent.startswith("needs 10 patients, found 9")
    enough = [*few, case("P9", "a", 0.9)]
    assert why_no_threshold(enough, "a") is None
    assert why_no_threshold(enough, "b") is None
    assert why_no_abstention(enough) is None
