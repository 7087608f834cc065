"""Words and plots of a threshold, of abstention and of reliability, counted by hand."""

from __future__ import annotations

import pytest

from medmeta.evaluation.decision import AbstentionPoint, ThresholdPoint, ThresholdRates
from medmeta.evaluation.result import Interval, ReliabilityPoint
from medmeta.reports.decision import (
    abstention_figure,
    benefit_rows,
    benefit_words,
    found_words,
    reliability_figure,
)

#: 8 of 10 found, 5 of 20 others called, at 20 % with 10 in 100: 0.1 * 0.8 - 0.25 * 0.9 * 0.25.
POINT = ThresholdPoint(0.2, 8, 5, 2, 15, 0.08 - 0.05625, 0.1 - 0.225)


def test_counts_and_intervals_are_said() -> None:
    rates = ThresholdRates(0.8, Interval(0.4, 0.9), 6, 0.75, Interval(0.5, 0.88), 12)
    found, called = found_words(POINT, rates)
    assert found.startswith(
        "8 of 10 scans found, in 6 patients. Sensitivity 80\u00a0%, 95 % interval 40 to 90\u00a0%"
    )
    assert called.startswith("5 of 20 other scans wrongly called, in 12 patients. Specificity 75\u00a0%")


def test_benefit_is_told_beside_everybody_and_nobody() -> None:
    assert benefit_rows(POINT) == (
        ("Call from 20\u00a0% on", "2.4"),
        ("Call everybody", "−12.5"),
        ("Call nobody", "0.0"),
    )
    said = benefit_words(POINT, "ill", 0.1)
    assert "10 in 100 people examined" in said
    assert "4 false calls weigh as much as one true call" in said
    assert "2.4 more true calls per 100 people than calling nobody" in said


def test_a_model_that_brings_nothing_is_told_so() -> None:
    worse = ThresholdPoint(0.05, 5, 10, 5, 10, 0.1, 0.2)
    assert benefit_words(worse, "ill", 0.3).endswith(
        "brings nothing here: calling everybody does as well or better."
    )
    harm = ThresholdPoint(0.5, 5, 10, 5, 10, -0.1, -0.2)
    assert benefit_words(harm, "ill", 0.1).endswith("calling nobody does as well or better.")
    assert "and 1 false call weighs as much" in benefit_words(harm, "ill", 0.1)


def test_abstention_draws_the_shares_and_leaves_out_a_handful() -> None:
    curve = (
        AbstentionPoint(0.5, 10, 6, Interval(0.26, 0.88)),
        AbstentionPoint(0.7, 5, 4, Interval(0.28, 0.99)),
        AbstentionPoint(0.9, 4, 4, Interval(0.4, 1.0)),
    )
    (line,) = abstention_figure(curve, fewest=5).data
    assert list(line.x) == [1.0, 0.5]
    assert list(line.y) == [0.6, 0.8]
    assert list(line.error_y.array) == pytest.approx([0.28, 0.19])
    assert list(line.error_y.arrayminus) == pytest.approx([0.34, 0.52])
    assert line.text[1].startswith("4 of 5 answered patients right, 5 declined")


def test_reliability_draws_its_points_with_their_scans() -> None:
    _, line = reliability_figure((ReliabilityPoint(0.5, 0.4, 12), ReliabilityPoint(0.9, 0.85, 40))).data
    assert (list(line.x), list(line.y)) == ([0.5, 0.9], [0.4, 0.85])
    assert list(line.text) == ["n = 12", "n = 40"]
