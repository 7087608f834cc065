"""The learning curve meets a closed form, says when more scans help, and names the class that holds it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from medmeta.errors import CancelledError
from medmeta.evaluation.learning_curve import learning_curve, plan_within, sizes_up_to, why_no_curve
from medmeta.evaluation.result import Interval, LearningCurve
from medmeta.learners.base import Prediction
from medmeta.progress import Progress, silent
from medmeta.reports.learning_curve import bottleneck, learning_curve_figure, more_scans_words
from medmeta.scans.scan import Scan
from medmeta.tasks.task import Task

DISTANCE = 100.0


def gaussian(make: Any, patients: int, apart: float, seed: int) -> Task:
    """Two classes of one value each patient, of standard deviation 100 and ``apart`` deviations between means."""
    random = np.random.default_rng(seed)
    values = random.normal(0, DISTANCE, (2, patients))
    values[1] += apart * DISTANCE
    return make([("ab"[k], f"{'ab'[k]}{i}", round(values[k, i])) for k in range(2) for i in range(patients)])


def expected(shots: int, apart: float) -> float:
    """Share right of the nearest of two class means, each of so many shots, for values of deviation 1."""
    beyond = norm.cdf(apart / 2 / sqrt(1 + 1 / (2 * shots)))
    ordered = norm.cdf(apart / sqrt(2 / shots))
    return float(beyond * ordered + (1 - beyond) * (1 - ordered))


def point(curve: LearningCurve, shots: int, figure: str = "accuracy", of: str = "") -> float:
    return next(each.share for each in curve.growth(figure, of).points if each.shots == shots)


def test_the_curve_of_gaussian_classes_is_the_closed_form(make: Any, learner: Any) -> None:
    curves = [
        learning_curve(learner, gaussian(make, 40, 1.5, seed), seed=seed, fits=200) for seed in range(16)
    ]
    sizes = [each.shots for each in curves[0].growth("accuracy").points]  # type: ignore[union-attr]
    assert tuple(sizes) == sizes_up_to(32, 5)
    for shots in sizes:
        found = np.mean([point(curve, shots) for curve in curves if curve is not None])
        assert found == pytest.approx(expected(shots, 1.5), abs=0.04)
    assert expected(32, 1.5) - expected(1, 1.5) > 0.1  # a curve, and no flat line


def test_with_a_query_set_the_test_patients_are_the_query(make: Any, learner: Any) -> None:
    support, query = gaussian(make, 8, 1.5, 0), gaussian(make, 100, 1.5, 1)
    for number, scan in enumerate(query.scans):
        object.__setattr__(scan, "group", f"query {number}")
    found = [learning_curve(learner, gaussian(make, 8, 1.5, s), query, seed=s) for s in range(2, 32)]
    assert np.mean([point(curve, 1) for curve in found if curve]) == pytest.approx(
        expected(1, 1.5), abs=0.045
    )
    assert np.mean([point(curve, 8) for curve in found if curve]) == pytest.approx(
        expected(8, 1.5), abs=0.045
    )
    curve = learning_curve(learner, support, query)
    assert curve is not None
    assert curve.n_groups == 200
    assert [each.shots for each in curve.growth("sensitivity", "a").points] == [1, 4, 8]


def test_intervals_cover_the_truth(make: Any, new_learner: Any) -> None:
    inside = {"accuracy": 0, "gain": 0}
    sets = 40
    for seed in range(sets):
        curve = learning_curve(new_learner(), gaussian(make, 8, 1.5, seed), seed=seed, fits=90)
        assert curve is not None
        growth = curve.growth("accuracy")
        last = growth.points[-1]
        assert last.shots == 6  # five parts of eight patients: two of each class left out at a time
        inside["accuracy"] += last.interval.low <= expected(6, 1.5) <= last.interval.high
        truth = expected(6, 1.5) - expected(3, 1.5)
        inside["gain"] += growth.gain_interval.low <= truth <= growth.gain_interval.high
    assert min(inside.values()) >= 0.85 * sets


def test_no_tested_patient_is_ever_learned_from(make: Any, new_learner: Any) -> None:
    rows = [(label, f"{label}{i // 2}", 10 * k + i) for k, label in enumerate("ab") for i in range(8)]
    task, learner = make(rows), new_learner()

    class Watched:
        name = "watched"

        def adapt(self, support: Task, *, progress: Progress = silent) -> Any:
            model = learner.adapt(support)
            held = set(support.groups)

            class Model:
                def predict(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Prediction:
                    assert not held & {scan.group for scan in scans}
                    return model.predict(scans)

            return Model()

    curve = learning_curve(Watched(), task)
    assert curve is not None
    assert curve.n_groups == 8
    assert [each.shots for each in curve.growth("accuracy").points] == [1, 2, 3]


@dataclass
class NearestScan:
    """The label of the nearest scan by its value, the first class where nothing is near."""

    name: str = "nearest scan"
    seen: list[Task] = field(default_factory=list)

    def adapt(self, support: Task, *, progress: Progress = silent) -> Any:
        values = np.array([float(scan.pixels.flat[0]) for scan in support.scans])
        targets = np.array(support.targets)

        class Model:
            classes = support.classes

            def predict(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Prediction:
                far = np.array([np.abs(values - float(scan.pixels.flat[0])) for scan in scans])
                said = np.where(far.min(axis=1) < 10, targets[far.argmin(axis=1)], 0)
                chances = np.eye(len(support.classes))[said]
                return Prediction(
                    support.classes,
                    tuple(support.classes[i] for i in chances.argmax(axis=1)),
                    chances,
                    np.zeros(len(scans)),
                    np.zeros(len(scans), dtype=bool),
                    tuple(() for _ in scans),
                )

        return Model()


def test_the_class_that_holds_it_back_is_named(make: Any) -> None:
    random = np.random.default_rng(0)
    rows = [(label, f"{label}{i}", 20 * k + i % 3) for k, label in enumerate("ab") for i in range(20)]
    # Every patient of c looks like one other of c and like nobody else.
    rows += [("c", f"c{i}", 100 * (i % 14 + 1) + int(random.integers(3))) for i in range(28)]
    curve = learning_curve(NearestScan(), make(rows), seed=1)
    assert curve is not None
    found = bottleneck(curve)
    assert found is not None
    assert found.of == "c"
    sensitivity = [each.share for each in curve.growth("sensitivity", "c").points]
    assert sensitivity == sorted(sensitivity)
    assert sensitivity[-1] - sensitivity[0] > 0.3
    assert "above all of “c”" in more_scans_words(curve)
    assert curve.growth("balanced accuracy", "a").gain < 0.02


def test_more_scans_do_not_help_where_one_is_enough(make: Any, learner: Any) -> None:
    rows = [("ab"[k], f"{'ab'[k]}{i}", 100 * k + i % 2) for k in range(2) for i in range(40)]
    curve = learning_curve(learner, make(rows))
    assert curve is not None
    assert [each.share for each in curve.growth("accuracy").points] == [1.0] * 5
    assert "would probably change little" in more_scans_words(curve)


def test_few_patients_leave_it_open(make: Any, learner: Any) -> None:
    rows = [("ab"[k], f"{'ab'[k]}{i}", 100 * k + i % 2) for k in range(2) for i in range(5)]
    curve = learning_curve(learner, make(rows))
    assert curve is not None
    assert "cannot be told" in more_scans_words(curve)
    gain = curve.growth("accuracy").gain_interval
    assert gain.low < 0 < gain.high  # a width although nobody differed


def test_too_few_patients_give_no_curve(make: Any, learner: Any) -> None:
    rows = [*[("a", f"A{i}", 10 + i) for i in range(5)], ("b", "B0", 30), ("b", "B1", 31)]
    assert learning_curve(learner, make(rows)) is None
    assert why_no_curve([5, 2], left_out=True) == "needs 3 patients of each class, found 2 of one"
    assert why_no_curve([5, 2], left_out=False) is None


def test_same_seed_same_curve_and_it_can_be_stopped(make: Any, learner: Any) -> None:
    task = gaussian(make, 5, 1.5, 3)
    assert learning_curve(learner, task, seed=4) == learning_curve(learner, task, seed=4)
    said: list[tuple[float, str]] = []

    def stop(fraction: float, message: str) -> None:
        said.append((fraction, message))
        if len(said) == 5:
            raise CancelledError("stop")

    with pytest.raises(CancelledError):
        learning_curve(learner, task, progress=stop)
    assert said[0][1].startswith("Asking whether more scans would help, 1 of ")
    assert 0 < said[-1][0] < 0.1


@pytest.mark.parametrize(
    ("most", "limit", "sizes"),
    [
        (1, 5, (1,)),
        (2, 5, (1, 2)),
        (4, 5, (1, 2, 4)),
        (8, 5, (1, 2, 3, 4, 8)),
        (9, 3, (1, 5, 9)),
        (32, 5, (1, 3, 6, 16, 32)),
    ],
)
def test_sizes_hold_one_the_half_and_all(most: int, limit: int, sizes: tuple[int, ...]) -> None:
    assert sizes_up_to(most, limit) == sizes


def test_the_figure_shows_every_growth_once(make: Any, learner: Any) -> None:
    curve = learning_curve(learner, gaussian(make, 5, 1.5, 3))
    assert curve is not None
    figure = learning_curve_figure(curve)
    assert [trace.name for trace in figure.data] == ["all classes grow", "a: its own grow", "b: its own grow"]
    assert list(figure.data[0].y) == [each.share for each in curve.growth("balanced accuracy").points]
    assert list(figure.data[2].y) == [each.share for each in curve.growth("sensitivity", "b").points]


def supports_of(plan: list[tuple[int, int]], own: list[int]) -> int:
    """Different supports of a plan: a class with all its patients is the same as all classes with theirs."""
    return len({row if row[0] == -1 or row[1] < own[row[0]] else (-1, max(own)) for row in plan})


@pytest.mark.parametrize("classes", [2, 3, 11])
@pytest.mark.parametrize("supports", [0, 2, 4, 5, 6, 7, 13, 14, 20, 40, 200])
def test_a_plan_keeps_to_its_budget_and_to_what_matters_most(classes: int, supports: int) -> None:
    own = [16, *[12] * (classes - 1)]
    plan = plan_within(supports, 16, own)
    assert plan == sorted(set(plan))
    assert supports_of(plan, own) <= max(supports, 2)
    assert {(-1, 8), (-1, 16)} <= set(plan)
    grown = {which for which, _ in plan if which >= 0}
    # Of every class or of none, so that classes can be compared.
    assert grown == (set(range(classes)) if supports >= 2 + classes else set())
    assert all({(i, -(-own[i] // 2)), (i, own[i])} <= set(plan) for i in grown)
    if supports >= 5 + 2 * classes:
        assert [size for which, size in plan if which == -1] == list(sizes_up_to(16, 5))
        assert (0, 1) in plan


def test_many_classes_take_no_more_models_than_few(make: Any, new_learner: Any) -> None:
    rows = [("abcdefghijk"[k], f"{k} {i}", 100 * k + i) for k in range(11) for i in range(10)]
    learner = new_learner()
    curve = learning_curve(learner, make(rows))
    assert curve is not None
    assert len(learner.seen) <= 40  # 100 models of 40 scans take as long as 36 of 110
    assert not any(growth.of for growth in curve.growths)
    assert bottleneck(curve) is None
    assert "class by class" in more_scans_words(growing(curve))
    assert "which class" not in more_scans_words(curve)
    assert len(learning_curve_figure(curve).data) == 1


def growing(curve: LearningCurve) -> LearningCurve:
    """The same with a gain beyond chance."""
    grown = tuple(replace(each, gain=0.2, gain_interval=Interval(0.1, 0.3)) for each in curve.growths)
    return replace(curve, growths=grown)
