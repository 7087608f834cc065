"""Figures beside the headline, each with its interval, or with the reason why too few patients give none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medmeta.evaluation import agreement, calibration, ranking
from medmeta.evaluation.intervals import clustered_accuracy, wilson
from medmeta.evaluation.metrics import auroc, count_patients, patients_right
from medmeta.evaluation.result import Case, Figure, Interval, ReliabilityPoint

#: Share of those examined who have the class, for PPV and NPV; a stated assumption, never read off the scans.
PREVALENCE = 0.1


@dataclass(frozen=True)
class Minimum:
    """Patients a figure needs, and why: ``n`` in all, and ``a_side`` with the class and as many without.

    For a figure of all classes ``a_side`` is asked of each of them: resampling says little about a class of two.
    """

    why: str
    n: int = 0
    a_side: int = 0


RESAMPLED = Minimum("an interval from resampled patients is too narrow with fewer", n=20, a_side=10)
ONE_MOVES = Minimum("with fewer, one patient moves it by 20 points or more", a_side=5)
#: Why a figure whose resamples are all equal is not given: its interval would have no width, and promise too much.
NO_SPREAD = "patients drawn anew all give the same value, so its interval cannot be told"
MINIMA = {
    "balanced accuracy": RESAMPLED,
    "Cohen's kappa": RESAMPLED,
    "MCC": RESAMPLED,
    "Brier score": RESAMPLED,
    "calibration error": Minimum("with fewer, most of it is chance", n=50),
    "F1": RESAMPLED,
    "PPV": ONE_MOVES,
    "NPV": ONE_MOVES,
    "AUROC": Minimum("its variance cannot be told from fewer", a_side=5),
    "AUROC, resampled patients": RESAMPLED,
}


def further_figures(
    cases: Sequence[Case], classes: Sequence[str], *, seed: int, prevalence: float = PREVALENCE
) -> tuple[Figure, ...]:
    """All figures beside the headline, those of all classes first.

    Args:
        cases: the evaluated scans; ``classes`` the order of their probabilities.
        seed: of the resampled patients.
        prevalence: share with the class among those examined, in [0, 1], for PPV and NPV.
    """
    table = _Table.of(cases, classes, seed)
    count = count_patients(patients_right(cases, classes))
    found = [
        Figure("patients right, Wilson's interval", "", count.rate, wilson(count.correct, count.n), count.n),
        table.resampled("balanced accuracy", agreement.balanced_accuracy),
        table.resampled("Cohen's kappa", agreement.cohens_kappa),
        table.resampled("MCC", agreement.matthews),
        table.brier(),
        table.calibration(),
    ]
    for index, label in enumerate(classes):
        found.append(table.resampled("F1", lambda c, i=index: agreement.f1(c, i), label))  # type: ignore[misc]
        found += table.predictive(index, label, prevalence)
        found += table.ranking(index, label)
    return tuple(found)


def reliability_points(cases: Sequence[Case], classes: Sequence[str]) -> tuple[ReliabilityPoint, ...]:
    """Points of the reliability diagram; none with fewer patients than the calibration error needs."""
    table = _Table.of(cases, classes, 0)
    if table.short("calibration error") is not None:
        return ()
    return calibration.reliability(table.probabilities, table.targets)


@dataclass(frozen=True, eq=False)
class _Table:
    """The cases as arrays: ``(n, C)`` probabilities, ``(n,)`` targets, ``(G, C, C)`` counts of each patient."""

    cases: Sequence[Case]
    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    patient: NDArray[np.int64]
    counts: NDArray[np.float64]
    seed: int

    @classmethod
    def of(cls, cases: Sequence[Case], classes: Sequence[str], seed: int) -> _Table:
        index = {name: i for i, name in enumerate(classes)}
        places = {group: i for i, group in enumerate(dict.fromkeys(case.group for case in cases))}
        patient = np.array([places[case.group] for case in cases])
        targets = np.array([index[case.label] for case in cases])
        counts = np.zeros((len(places), len(classes), len(classes)))
        np.add.at(counts, (patient, targets, np.array([index[case.predicted] for case in cases])), 1.0)
        probabilities = np.array([case.probabilities for case in cases], dtype=np.float64)
        return cls(cases, probabilities, targets, patient, counts, seed)

    def sides(self, index: int) -> tuple[int, int]:
        """Patients with a scan of the class, and with a scan of another."""
        own = self.targets == index
        return len(set(self.patient[own])), len(set(self.patient[~own]))

    def short(self, name: str, index: int | None = None) -> str | None:
        """Why the figure is not given, or None where it is."""
        minimum, n = MINIMA[name], len(self.counts)
        if n < minimum.n:
            return f"needs {minimum.n} patients, found {n}: {minimum.why}"
        if index is None and minimum.a_side:
            fewest = min(self.sides(each)[0] for each in range(self.counts.shape[1]))
            if fewest < minimum.a_side:
                return f"needs {minimum.a_side} patients of each class, found {fewest}: {minimum.why}"
        if index is not None:
            with_it, without = self.sides(index)
            if min(with_it, without) < max(minimum.a_side, 1):
                return (
                    f"needs {max(minimum.a_side, 1)} patients with it and as many without, found {with_it} and "
                    f"{without}: {minimum.why}"
                )
        return None

    def resampled(
        self, name: str, statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], label: str = ""
    ) -> Figure:
        n, why = len(self.counts), self.short(name)
        value = float(statistic(self.counts.sum(axis=0)))
        if why is None and not np.isfinite(value):
            why = "does not exist: every label, or every answer, is the same"
        if why is not None:
            return Figure(name, label, None, None, n, why)
        weights = ranking.patient_weights(n, seed=self.seed)
        interval = ranking.percentiles(statistic(np.tensordot(weights, self.counts, axes=1)))
        if interval.low == interval.high:
            return Figure(name, label, None, None, n, NO_SPREAD)
        return Figure(name, label, value, interval, n)

    def brier(self) -> Figure:
        n, why = len(self.counts), self.short("Brier score")
        if why is not None:
            return Figure("Brier score", "", None, None, n, why)
        scores = calibration.brier(self.probabilities, self.targets)
        sums, scans = np.bincount(self.patient, scores), np.bincount(self.patient)
        weights = ranking.patient_weights(n, seed=self.seed)
        interval = ranking.percentiles((weights @ sums) / (weights @ scans))
        return Figure("Brier score", "", float(scores.mean()), interval, n)

    def calibration(self) -> Figure:
        name, n = "calibration error", len(self.counts)
        why = self.short(name)
        if why is not None:
            return Figure(name, "", None, None, n, why)
        points = calibration.reliability(self.probabilities, self.targets)
        # No interval: resampling an absolute gap moves it upward, so its percentiles would mislead.
        return Figure(name, "", calibration.calibration_error(points), None, n)

    def predictive(self, index: int, label: str, prevalence: float) -> tuple[Figure, Figure]:
        n = sum(self.sides(index))
        told = [f"{name} where {100 * prevalence:g} in 100 have it" for name in ("PPV", "NPV")]
        why = self.short("PPV", index)
        if why is not None:
            return Figure(told[0], label, None, None, n, why), Figure(told[1], label, None, None, n, why)
        total = self.counts.sum(axis=0)
        own, others = total[index], np.delete(total, index, axis=0)
        found = float(own[index] / own.sum())
        spared = 1.0 - float(others[:, index].sum() / others.sum())
        with_it, without = self.sides(index)
        limits = agreement.predictive_intervals(
            clustered_accuracy(found, with_it, 0.975), clustered_accuracy(spared, without, 0.975), prevalence
        )
        values = agreement.predictive_values(found, spared, prevalence)
        return (
            _or_reason(told[0], label, values.positive, limits[0], n),
            _or_reason(told[1], label, values.negative, limits[1], n),
        )

    def ranking(self, index: int, label: str) -> list[Figure]:
        flags = [bool(target == index) for target in self.targets]
        score = [float(p) for p in self.probabilities[:, index]]
        groups, n = [case.group for case in self.cases], len(self.counts)
        figures = []
        for name in ("AUROC", "AUROC, resampled patients"):
            why = self.short(name, index)
            if why is not None:
                figures.append(Figure(name, label, None, None, n, why))
                continue
            interval = (
                ranking.auroc_interval(flags, score, groups)
                if name == "AUROC"
                else ranking.bootstrap_auroc(flags, score, groups, seed=self.seed)
            )
            if interval.low == interval.high:
                figures.append(Figure(name, label, None, None, n, NO_SPREAD))
                continue
            figures.append(Figure(name, label, auroc(flags, score), interval, n))
        return figures


def _or_reason(name: str, label: str, value: float | None, interval: Interval, n: int) -> Figure:
    if value is None:
        return Figure(name, label, None, None, n, "does not exist: the model never gave such an answer")
    return Figure(name, label, value, interval, n)
