"""What each label of a support does to the reading of all the others, by refitting without it or with another label.

The refits are ridge regression in the learner's own similarities, with each patient left out exactly through the one
inverse (`kernel_ridge.ridge`), so hundreds of them take milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medmeta.models.kernel_ridge import Goals, ridge
from medmeta.tasks.meta_task import FeatureTask
from medmeta.tasks.task import Task

#: Penalty of the refits, and factor on their scores; chosen on draws of the meta-train sets (`benchmarks.suspects`).
STRENGTH = 0.1
SHARPNESS = 20.0
#: Beyond so many scans the refits take long, and one label decides little.
MOST_SCANS = 300


@runtime_checkable
class Similar(Protocol):
    """A learner that can say how alike scans are to it."""

    def similarities(self, support: Task) -> Tensor:
        """``(n, n)`` float64 inner products of the support's scans in the space its heads live in."""
        ...


@dataclass(frozen=True, eq=False)
class Influences:
    """Of each of n support scans, all scans of one patient and label being changed together.

    Attributes:
        evidence: ``(n,)`` by how much (natural logarithm) all left-out readings together become more likely with the
            best other label; above 0 the rest of the support speaks for that label.
        suggested: ``(n,)`` index of that label.
        moved: ``(n,)`` mean change of the other patients' left-out probabilities when it is left out too.
    """

    evidence: NDArray[np.float64]
    suggested: NDArray[np.int64]
    moved: NDArray[np.float64]


def influences(
    similarities: Tensor, targets: Sequence[int], groups: Sequence[str], classes: int
) -> Influences:
    """Refit with every other label of each patient, and without each patient.

    Args:
        similarities: ``(n, n)``.
        targets: class of each scan.
        groups: patient of each scan.
        classes: C, at least 2.

    References:
        Koh PW, Liang P. Understanding black-box predictions via influence functions. ICML 2017 (here by exact refits).
        Cook RD, Weisberg S. Residuals and Influence in Regression, 1982.
    """
    labels = np.asarray(targets)
    units: dict[tuple[str, int], list[int]] = {}
    for place, key in enumerate(zip(groups, labels.tolist(), strict=True)):
        units.setdefault(key, []).append(place)
    base = _left_out(similarities, labels, groups, classes)
    before = _likelihood(base, labels, groups)
    n = len(labels)
    evidence, suggested, moved = np.full(n, -np.inf), labels.copy(), np.zeros(n)
    for (_, own), places in units.items():
        for other in range(classes):
            if other == own:
                continue
            turned = labels.copy()
            turned[places] = other
            if not (turned == own).any():
                continue  # the class would be gone
            gain = _likelihood(_left_out(similarities, turned, groups, classes), turned, groups) - before
            if gain > evidence[places[0]]:
                evidence[places], suggested[places] = gain, other
        rest = np.array([i for i in range(n) if groups[i] != groups[places[0]]])
        if len(set(labels[rest].tolist())) < classes:
            continue
        without = _left_out(similarities[rest][:, rest], labels[rest], [groups[i] for i in rest], classes)
        moved[places] = np.abs(without - base[rest]).sum(axis=1).mean() / 2
    return Influences(evidence, suggested, moved)


def _left_out(
    similarities: Tensor, targets: NDArray[np.int64], groups: Sequence[str], classes: int
) -> NDArray[np.float64]:
    """``(n, C)`` probabilities of each scan by the fit without its patient."""
    codes = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    none = torch.zeros(0, dtype=torch.int64)
    goals = Goals.of(
        [
            FeatureTask(
                source="",
                domain="",
                ways=classes,
                support=similarities,
                support_targets=torch.from_numpy(targets),
                support_groups=torch.tensor([codes[group] for group in groups]),
                query=similarities[:0],
                query_targets=none,
            )
        ]
    )
    scores, _ = ridge(similarities[None], goals, torch.tensor([STRENGTH], dtype=torch.float64))
    found: NDArray[np.float64] = torch.softmax(SHARPNESS * scores[0], dim=1).numpy()
    return found


def _likelihood(chances: NDArray[np.float64], targets: NDArray[np.int64], groups: Sequence[str]) -> float:
    """Summed log-probability of the labels; one that no other patient has counts as guessing."""
    group = np.unique(np.asarray(groups), return_inverse=True)[1]
    counts = np.zeros((int(group.max()) + 1, chances.shape[1]))
    np.add.at(counts, (group, targets), 1.0)
    rows = np.arange(len(targets))
    known = counts.sum(axis=0)[targets] > counts[group, targets]
    own = np.where(known, np.maximum(chances[rows, targets], 1e-12), 1 / chances.shape[1])
    return float(np.log(own).sum())
