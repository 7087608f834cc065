"""Races between trainings, by hand."""

from __future__ import annotations

import pytest

from medmeta.errors import TaskError
from medmeta.training.claims.curves import Curve, Race, race, saving


def history(*rows: tuple[float, float]) -> list[dict[str, float]]:
    return [
        {"seconds": seconds, "step": 10.0 * number, "validation_accuracy": accuracy}
        for number, (seconds, accuracy) in enumerate(rows, start=1)
    ]


MAML = Curve.of(history((10, 0.5), (20, 0.7), (30, 0.7), (40, 0.6)), "seconds", start=0.4)


def test_a_curve_begins_with_what_building_took() -> None:
    found = Curve.of(history((4, 0.72), (8, 0.71)), "seconds", start=0.6, built=1.0)
    assert found == Curve((1.0, 5.0, 9.0), (0.6, 0.72, 0.71))
    assert Curve.of(history((4, 0.7)), "step", start=0.1).costs == (0.0, 10.0)


def test_best_is_the_earliest_of_equals_and_never_the_start() -> None:
    assert MAML.best == (20.0, 0.7)
    assert Curve((0.0, 5.0), (0.9, 0.3)).best == (5.0, 0.3)


def test_share_of_the_time_to_the_references_best() -> None:
    ours = Curve.of(history((4, 0.72)), "seconds", start=0.6, built=1.0)
    found = race(MAML, ours, start_counts=True)
    assert found == Race(0.7, 20.0, 5.0, (0.4, 0.6), (0.7, 0.72))
    assert found.share == pytest.approx(0.25)


def test_a_start_that_is_good_enough_counts_where_it_may() -> None:
    ours = Curve.of(history((4, 0.5), (8, 0.7)), "seconds", start=0.7 - 1e-12, built=0.5)
    assert race(MAML, ours, start_counts=True).challenger == 0.5
    assert race(MAML, ours, start_counts=False).challenger == 8.5


def test_a_race_never_won() -> None:
    found = race(MAML, Curve((0.0, 3.0), (0.1, 0.69)), start_counts=True)
    assert (found.challenger, found.share) == (None, None)


def runs(*shares: float | None) -> dict[str, Race]:
    return {
        str(i): Race(0.7, 10.0, None if s is None else 10 * s, (0.1, 0.1), (0.7, 0.7))
        for i, s in enumerate(shares)
    }


def test_saving_is_the_mean_with_students_interval() -> None:
    found = saving(runs(0.5, 0.7), 40.0, "less time", "pairs", "how")
    assert found.value == pytest.approx(40.0)
    assert found.met
    assert found.reached == "40 % less time"
    assert found.interval is not None
    # Two values 50 and 30: standard error 10, Student's factor for one degree of freedom 12.706.
    assert found.interval.high - found.interval.low == pytest.approx(2 * 127.06, rel=1e-3)
    assert (found.n, found.of) == (2, "pairs")
    assert found.details["0"]["share"] == 0.5


def test_saving_tells_what_was_not_reached() -> None:
    some = saving(runs(0.1, None), 40.0, "less time", "pairs", "how")
    assert some.value == pytest.approx(90.0)
    assert not some.met
    assert some.reached == "90 % less time; the accuracy was not reached in 1 of 2"
    none = saving(runs(None), 40.0, "less time", "pairs", "how")
    assert (none.value, none.met, none.reached) == (None, False, "the accuracy was not reached")
    slower = saving(runs(3.0), 40.0, "less time", "pairs", "how")
    assert (slower.value, slower.met, slower.interval) == (pytest.approx(-200.0), False, None)


def test_a_reference_that_gained_nothing_is_no_race() -> None:
    idle = race(Curve((0.0, 5.0), (0.7, 0.7)), Curve((0.1, 1.0), (0.8, 0.8)), start_counts=True)
    assert not idle.gained
    found = saving({**runs(0.5), "idle": idle}, 40.0, "less time", "pairs", "how")
    assert (found.value, found.n, found.met) == (pytest.approx(50.0), 1, True)
    assert found.reached.endswith(
        "left out are 1 in which training did not raise the reference above its start"
    )
    with pytest.raises(
        TaskError, match=r"a: 0\.700 before and 0\.700 at best after training, the challenger 0\.800"
    ):
        saving({"a": idle}, 40.0, "less time", "pairs", "how")
