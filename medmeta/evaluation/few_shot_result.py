"""`FewShotResult`: what a few-shot run measured, episode by episode, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medmeta.evaluation.paired import normal_interval, patients_interval, t_interval, two_level_interval
from medmeta.evaluation.result import Interval

Ways = int | Literal["all"]


@dataclass(frozen=True, eq=False)
class Measured:
    """One learner on the first n episodes of one data set.

    Attributes:
        data: name of the data set.
        learner: registry name.
        right: ``(n, m)`` bool; episode by episode, which of its m query scans were predicted right.
        targets: ``(n, m)`` int64, class of each query scan.
        groups: ``(n, m)`` int64, equal codes are one patient.
        seconds_adapt: ``(n,)`` float64 seconds to adapt, on one thread, the frozen features being known.
        seconds_predict: ``(n,)`` float64 seconds to predict the m query scans.
    """

    data: str
    learner: str
    right: NDArray[np.bool_]
    targets: NDArray[np.int64]
    groups: NDArray[np.int64]
    seconds_adapt: NDArray[np.float64]
    seconds_predict: NDArray[np.float64]

    @property
    def per_episode(self) -> NDArray[np.float64]:
        """``(n,)`` share of query scans right; every class has equally many, so it is balanced."""
        share: NDArray[np.float64] = self.right.mean(axis=1)
        return share

    @property
    def accuracy_mean(self) -> float:
        return float(self.per_episode.mean())

    @property
    def ci95(self) -> Interval | None:
        """Over episodes; None for a single one."""
        return normal_interval(self.per_episode)


@dataclass(frozen=True)
class Difference:
    """Accuracy of ``learner`` minus that of ``against`` on the episodes both have.

    ``ci95`` is over episodes, ``ci95_patients`` over patients (`medmeta.evaluation.paired`); None where there are
    too few of them.
    """

    data: str
    learner: str
    against: str
    difference: float
    ci95: Interval | None
    ci95_patients: Interval | None
    n_episodes: int


@dataclass(frozen=True)
class OverallDifference:
    """Mean over two or more data sets of their differences, each counting alike.

    ``ci95_datasets`` is Student's over their means, ``ci95_bootstrap`` resamples data sets and episodes.
    """

    learner: str
    against: str
    difference: float
    ci95_datasets: Interval | None
    ci95_bootstrap: Interval | None


@dataclass(frozen=True)
class FewShotResult:
    """What `run_few_shot` measured: data set by data set, and there in the order of the learners."""

    shots: int
    queries: int
    ways: Ways
    episodes: int
    seed: int
    jobs: int
    measured: tuple[Measured, ...]

    @property
    def data(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(m.data for m in self.measured))

    @property
    def learners(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(m.learner for m in self.measured))

    def of(self, data: str, learner: str) -> Measured:
        return next(m for m in self.measured if (m.data, m.learner) == (data, learner))

    def paired(self) -> tuple[Difference, ...]:
        """The first learner against each other one, data set by data set."""
        first, *others = self.learners
        return tuple(
            _difference(self.of(data, first), self.of(data, other)) for data in self.data for other in others
        )

    def paired_all(self) -> tuple[OverallDifference, ...]:
        """The first learner against each other one over all data sets; empty for a single data set."""
        first, *others = self.learners
        if len(self.data) < 2:
            return ()
        found = []
        for other in others:
            differences = [_episodes(self.of(data, first), self.of(data, other)) for data in self.data]
            means = [float(values.mean()) for values in differences]
            bootstrap = two_level_interval(differences, seed=self.seed)
            found.append(OverallDifference(first, other, float(np.mean(means)), t_interval(means), bootstrap))
        return tuple(found)


def to_json(result: FewShotResult) -> dict[str, list[dict[str, Any]]]:
    """``results``, ``paired`` and ``paired_all`` as plain values; accuracies and differences in [0, 1], not %."""
    shots = {"shots": result.shots}
    return {
        "results": [
            {
                "data": m.data,
                **shots,
                "learner": m.learner,
                "accuracy_mean": m.accuracy_mean,
                "ci95": _pair(m.ci95),
                "n_episodes": len(m.right),
                "per_episode": m.per_episode.tolist(),
                "seconds_adapt": float(np.median(m.seconds_adapt)),
                "seconds_predict": float(np.median(m.seconds_predict)),
            }
            for m in result.measured
        ],
        "paired": [
            {
                "data": d.data,
                **shots,
                "learner": d.learner,
                "against": d.against,
                "difference": d.difference,
                "ci95": _pair(d.ci95),
                "ci95_patients": _pair(d.ci95_patients),
                "n_episodes": d.n_episodes,
            }
            for d in result.paired()
        ],
        "paired_all": [
            {
                **shots,
                "learner": d.learner,
                "against": d.against,
                "difference": d.difference,
                "ci95_datasets": _pair(d.ci95_datasets),
                "ci95_bootstrap": _pair(d.ci95_bootstrap),
            }
            for d in result.paired_all()
        ],
    }


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _episodes(first: Measured, other: Measured) -> NDArray[np.float64]:
    """Differences of accuracy, episode by episode, of the episodes both have."""
    common = min(len(first.right), len(other.right))
    return first.per_episode[:common] - other.per_episode[:common]


def _difference(first: Measured, other: Measured) -> Difference:
    values = _episodes(first, other)
    common = len(values)
    queries = first.right[:common].astype(np.float64) - other.right[:common]
    by_patients = patients_interval(
        queries.ravel(), first.targets[:common].ravel(), first.groups[:common].ravel()
    )
    return Difference(
        first.data,
        first.learner,
        other.learner,
        float(values.mean()),
        t_interval(values),
        by_patients,
        common,
    )
