"""Learning curve: how often left-out patients are right as the support grows, and which class it should grow by.

Smaller supports are drawn again and again from the one there is; the patients tested are never among them. The draws
repeat the same patients, so a figure counts as many independent trials as there are patients, however many supports
were drawn.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from medmeta.evaluation.in_turn import InTurn
from medmeta.evaluation.intervals import CONFIDENCE, clustered_accuracy
from medmeta.evaluation.result import CurvePoint, Growth, Interval, LearningCurve
from medmeta.learners.base import Learner, TaskModel
from medmeta.progress import Progress, silent
from medmeta.tasks.task import Task

#: Patients of each class a curve needs, left-out ones included: two sizes of support to compare.
FEWEST = 3
#: Without a query set the patients of each class are left out in at most so many parts.
PARTS = 5
#: About so many models are adapted in all, fewer beyond so many scans, where each takes longer.
FITS, SCANS = 100, 40
#: Every patient is tested at least once, and at most so often.
MOST_REPEATS = 20
#: Two further patients of each class, one better and one worse by this share of the draws, keep the interval of a
#: gain open where nobody differs; chosen by its coverage (`benchmarks.learning_curve`).
FURTHER = 0.25
#: Most sizes of support measured with all classes growing, and with one.
SIZES, CLASS_SIZES = 5, 3


def why_no_curve(patients: Sequence[int], *, left_out: bool) -> str | None:
    """Why there is no learning curve for classes of so many support patients, or None where there is one.

    Args:
        left_out: the patients tested are left out of these.
    """
    least = FEWEST if left_out else FEWEST - 1
    if min(patients) >= least:
        return None
    return f"needs {least} patients of each class, found {min(patients)} of one"


def sizes_up_to(most: int, limit: int) -> tuple[int, ...]:
    """At most ``limit`` sizes from 1 to ``most``, its half among them, in about equal proportions."""
    half = -(-most // 2)
    if limit <= 3 or most <= 3:
        return tuple(sorted({1, half, most}))
    between = {round(float(size)) for size in np.geomspace(1, half, limit - 1)}
    return tuple(sorted(between | {half, most}))


def plan_within(supports: int, most: int, own: Sequence[int]) -> list[tuple[int, int]]:
    """Which supports to measure: (class that grows, or -1 for all; patients of it), in order of growth and size.

    All patients and half of them always; then half of each class where that fits for every class, then the sizes
    between, and last each class with one patient.

    Args:
        supports: how many different supports may be measured.
        most: patients of the largest class.
        own: patients of each class.
    """
    half = -(-most // 2)
    plan, used = {(-1, half), (-1, most)}, 2
    by_class = used + len(own) <= supports
    if by_class:
        # A class with all its patients is the support that all classes have with theirs, which costs nothing more.
        plan |= {(i, size) for i, n in enumerate(own) for size in (-(-n // 2), n)}
        used += len(own)
    between = [size for size in sizes_up_to(most, SIZES) if size not in (half, most)]
    if used < supports:
        chosen = between[:: -(-len(between) // (supports - used)) or 1]
        plan |= {(-1, size) for size in chosen}
        used += len(chosen)
    if by_class and used + len(own) <= supports:
        plan |= {(i, size) for i, n in enumerate(own) for size in sizes_up_to(n, CLASS_SIZES)}
    return sorted(plan)


@dataclass(frozen=True)
class _Draw:
    """Patients to learn from, class by class in a random order, and positions of the scans to predict."""

    pool: tuple[tuple[str, ...], ...]
    test: tuple[int, ...]


def learning_curve(
    learner: Learner,
    support: Task,
    query: Task | None = None,
    *,
    seed: int = 0,
    fits: int | None = None,
    progress: Progress = silent,
) -> LearningCurve | None:
    """Adapt to smaller supports and predict patients that are in none of them.

    Args:
        learner: adapts in well under a second once it knows the scans.
        support: what smaller supports are drawn from. A patient with scans of several labels is drawn with the
            commonest of them.
        query: patients to test on; None leaves patients of the support out, about one of each class at a time, and
            draws from the rest.
        seed: of every draw.
        fits: about how many models to adapt; :data:`FITS` where None.
        progress: may raise to cancel.

    Returns:
        None with too few patients of a class (`why_no_curve`).

    Raises:
        CancelledError: ``progress`` asked to stop.
    """
    by_class = _patients(support)
    if why_no_curve([len(found) for found in by_class], left_out=query is None) is not None:
        return None
    parts = 1 if query is not None else min(PARTS, max(map(len, by_class)))
    held = 0 if query is not None else -(-max(map(len, by_class)) // parts)
    most = max(map(len, by_class)) - held
    own = [len(found) - (0 if query is not None else -(-len(found) // parts)) for found in by_class]
    budget = FITS * SCANS // max(len(support.scans), SCANS) if fits is None else fits
    plan = plan_within(budget // parts, most, [max(size, 1) for size in own])
    repeats = min(max(budget // (parts * len(plan)), 1), MOST_REPEATS)
    tested = support if query is None else query
    table = _Units.of(tested, support.classes)
    hits = np.zeros((len(plan), len(table.labels)))
    random = np.random.default_rng(seed)
    asked = [
        (row, _support(support, draw, grown, size), draw.test)
        for _ in range(repeats)
        for draw in _draws(by_class, parts, support, query, random)
        for row, (grown, size) in enumerate(plan)
    ]
    unique = list(dict.fromkeys((chosen, test) for _, chosen, test in asked))
    models = InTurn(learner, [support.subset(chosen) for chosen, _ in unique])
    known: dict[tuple[tuple[int, ...], tuple[int, ...]], NDArray[np.float64]] = {}
    for number, (chosen, test) in enumerate(unique):
        progress(number / len(unique), f"Asking whether more scans would help, {number + 1} of {len(unique)}")
        known[chosen, test] = _read(models.next(), support, tested, test)
    for row, chosen, test in asked:
        table.count(hits[row], known[chosen, test], test)
    progress(1.0, "Learning curve measured")
    return table.curve(plan, hits / repeats, repeats)


def _patients(support: Task) -> list[list[str]]:
    """Patients of each class, each under the commonest label of its scans."""
    labels: dict[str, Counter[int]] = defaultdict(Counter)
    for group, target in zip(support.groups, support.targets, strict=True):
        labels[group][target] += 1
    found: list[list[str]] = [[] for _ in support.classes]
    for group, counted in labels.items():
        found[counted.most_common(1)[0][0]].append(group)
    return found


def _draws(
    by_class: Sequence[Sequence[str]],
    parts: int,
    support: Task,
    query: Task | None,
    random: np.random.Generator,
) -> list[_Draw]:
    """Every patient tested once, the rest in a random order."""
    shuffled = [[found[int(i)] for i in random.permutation(len(found))] for found in by_class]
    if query is not None:
        return [_Draw(tuple(map(tuple, shuffled)), tuple(range(len(query.scans))))]
    draws = []
    for part in range(parts):
        out = {group for found in shuffled for group in found[part::parts]}
        pool = tuple(
            tuple(found[int(i)] for i in random.permutation(len(found)) if found[int(i)] not in out)
            for found in shuffled
        )
        draws.append(_Draw(pool, tuple(i for i, group in enumerate(support.groups) if group in out)))
    return draws


def _support(support: Task, draw: _Draw, grown: int, size: int) -> tuple[int, ...]:
    """Positions of the first ``size`` patients of the class that grows (-1: of all), and of all of the others."""
    taken = {
        group for i, pool in enumerate(draw.pool) for group in (pool[:size] if grown in (-1, i) else pool)
    }
    return tuple(i for i, group in enumerate(support.groups) if group in taken)


def _read(model: TaskModel, support: Task, tested: Task, test: Sequence[int]) -> NDArray[np.float64]:
    """``(len(test), C)`` probabilities over the support's classes."""
    prediction = model.predict([tested.scans[i] for i in test])
    spread = np.zeros((len(test), len(support.classes)))
    spread[:, [support.classes.index(label) for label in prediction.classes]] = prediction.probabilities
    return spread


@dataclass(frozen=True, eq=False)
class _Units:
    """What is right or wrong once: a patient's scans of one label, read together.

    Attributes:
        of_scan: ``(m,)`` unit of each scan tested.
        labels: ``(u,)`` class of each unit.
        patients: ``(u,)`` patient of each unit.
        classes: label names.
    """

    of_scan: NDArray[np.int64]
    labels: NDArray[np.int64]
    patients: tuple[str, ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, tested: Task, classes: tuple[str, ...]) -> _Units:
        keys = list(zip(tested.groups, (classes.index(label) for label in tested.labels), strict=True))
        unique = list(dict.fromkeys(keys))
        place = {key: i for i, key in enumerate(unique)}
        return cls(
            np.array([place[key] for key in keys]),
            np.array([label for _, label in unique]),
            tuple(group for group, _ in unique),
            classes,
        )

    def count(self, hits: NDArray[np.float64], chances: NDArray[np.float64], test: Sequence[int]) -> None:
        """Add one to every unit among the scans tested whose own label is the most probable; a tie is wrong."""
        units, place = np.unique(self.of_scan[list(test)], return_inverse=True)
        sums = np.zeros((len(units), chances.shape[1]))
        np.add.at(sums, place, chances)
        means = sums / np.bincount(place)[:, None]
        rows, own = np.arange(len(units)), self.labels[units]
        own_chance = means[rows, own]
        means[rows, own] = -np.inf
        hits[units] += means.max(axis=1) < own_chance - 1e-12

    def curve(
        self, plan: Sequence[tuple[int, int]], shares: NDArray[np.float64], repeats: int
    ) -> LearningCurve:
        """Every growth, from the share of draws ``(rows of the plan, u)`` in which each unit was right."""
        wide = 1 - (1 - CONFIDENCE) / len(self.classes)
        even = np.ones(len(self.labels))
        present = np.unique(self.labels)
        balanced = 1.0 / (np.bincount(self.labels)[self.labels] * len(present))
        growths = []
        for grown in (-1, *range(len(self.classes))):
            rows = [row for row, (which, _) in enumerate(plan) if which == grown]
            if not rows:
                continue
            sizes = [plan[row][1] for row in rows]
            figures = [("balanced accuracy", balanced)]
            if grown == -1:
                figures.insert(0, ("accuracy", even / len(even)))
            elif grown in present:
                own = (self.labels == grown).astype(np.float64)
                figures.insert(0, ("sensitivity", own / own.sum()))
            for name, weights in figures:
                half = rows[sizes.index(-(-sizes[-1] // 2))]
                growths.append(
                    Growth(
                        name,
                        "" if grown == -1 else self.classes[grown],
                        tuple(
                            CurvePoint(size, *self._share(shares[row], weights))
                            for row, size in zip(rows, sizes, strict=True)
                        ),
                        float(weights @ (shares[rows[-1]] - shares[half])),
                        self._difference(
                            shares[rows[-1]] - shares[half], weights, CONFIDENCE if grown == -1 else wide
                        ),
                    )
                )
        return LearningCurve(tuple(growths), repeats, len(set(self.patients)))

    def _share(self, shares: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, Interval]:
        """Weighted share and its interval, exact for as many patients as the weights are worth (Kish)."""
        share = min(float(weights @ shares), 1.0)
        counted = weights > 0
        patients = len({group for group, used in zip(self.patients, counted, strict=True) if used})
        worth = int(1.0 / float((weights**2).sum()) + 1e-9)
        return share, clustered_accuracy(share, min(worth, patients))

    def _difference(
        self, differences: NDArray[np.float64], weights: NDArray[np.float64], confidence: float
    ) -> Interval:
        """Student's interval of a weighted mean difference, patient by patient within each class.

        Two further patients of each class (:data:`FURTHER`) keep a width where nobody differs.

        References:
            Bonett DG, Price RM. Adjusted Wald confidence interval for a difference of binomial proportions based on
            paired data. Journal of Educational and Behavioral Statistics 2012;37:479-488 (with whole patients).
        """
        value = variance = 0.0
        spare = 0
        for label in np.unique(self.labels[weights > 0]):
            own = self.labels == label
            values = np.append(differences[own], [FURTHER, -FURTHER])
            share = float(weights[own].sum())
            value += share * float(values.mean())
            variance += share**2 * float(values.var(ddof=1)) / len(values)
            spare += len(values) - 1
        reach = float(student.ppf(0.5 + confidence / 2, spare)) * float(np.sqrt(variance))
        return Interval(max(value - reach, -1.0), min(value + reach, 1.0))
