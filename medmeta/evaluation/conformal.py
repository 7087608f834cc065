"""Sets of labels that hold the right one for nine new patients in ten, where enough patients stand behind them.

Split conformal prediction: the score of a label is one minus its probability, and a new scan's set holds every label
whose score is not beyond what the calibration patients' right labels had. It holds for patients who come from where
the calibration patients came from (exchangeable), whatever the model. With a query set the model never saw, that is
exact. Where each support patient was left out, the scores are of models with one patient less than the one that then
answers, which the proof does not cover (Barber et al. 2021): about, not exactly.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medmeta.evaluation.result import Case

LEVEL = 0.9


@dataclass(frozen=True)
class ConformalRule:
    """When a label belongs to a scan's set.

    Attributes:
        least: probability from which on a label belongs to it, by label.
        by_class: the promise holds for each class by itself, and not only over all patients.
        patients: behind it, by label, or under ``""`` for all classes together.
        level: share of new patients whose set holds the right label.
    """

    least: Mapping[str, float]
    by_class: bool
    patients: Mapping[str, int]
    level: float = LEVEL

    def labels(self, probabilities: Sequence[float], classes: Sequence[str]) -> tuple[str, ...]:
        """The set of a scan, the most probable label first; empty for one unlike every calibration scan."""
        ordered = sorted(zip(probabilities, classes, strict=True), key=lambda pair: -pair[0])
        return tuple(label for chance, label in ordered if chance >= self.least[label] - 1e-12)


def patients_needed(level: float = LEVEL) -> int:
    """Fewest calibration patients with which a set can leave any label out: 9 for 90 %."""
    return math.ceil(level / (1 - level) - 1e-9)


def conformal_rule(
    cases: Sequence[Case], classes: Sequence[str], level: float = LEVEL
) -> ConformalRule | None:
    """Calibrate on scans read by a model that had not learned from their patients; None with too few patients.

    A patient counts once, by its worst scan. Each class by itself where each has enough patients, else all together.

    References:
        Vovk V, Gammerman A, Shafer G. Algorithmic Learning in a Random World, 2005 (class by class: section 4.5).
        Barber RF et al. Predictive inference with the jackknife+. Annals of Statistics 2021;49:486-507.
    """
    needed = patients_needed(level)
    scores: dict[str, dict[str, float]] = {label: {} for label in classes}
    whole: dict[str, float] = defaultdict(float)
    for case in cases:
        score = 1.0 - case.probabilities[list(classes).index(case.label)]
        own = scores[case.label]
        own[case.group] = max(own.get(case.group, 0.0), score)
        whole[case.group] = max(whole[case.group], score)
    if all(len(own) >= needed for own in scores.values()):
        least = {label: 1.0 - _quantile(list(own.values()), level) for label, own in scores.items()}
        return ConformalRule(least, True, {label: len(own) for label, own in scores.items()}, level)
    if len(whole) < needed:
        return None
    shared = 1.0 - _quantile(list(whole.values()), level)
    return ConformalRule(dict.fromkeys(classes, shared), False, {"": len(whole)}, level)


def _quantile(scores: Sequence[float], level: float) -> float:
    """The score that so many of one more would stay below: the ``ceil((n + 1) * level)``-th smallest."""
    return sorted(scores)[math.ceil((len(scores) + 1) * level - 1e-9) - 1]
