"""What a threshold, or leave to decline, would bring: numbers for deciding, not for choosing the best-looking one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medmeta.evaluation.further import ONE_MOVES
from medmeta.evaluation.intervals import clopper_pearson, clustered_accuracy
from medmeta.evaluation.metrics import patients_right
from medmeta.evaluation.result import Case, Interval

#: Patients an abstention curve needs to start with; it is drawn down to half as many answered.
ABSTENTION_PATIENTS = 2 * ONE_MOVES.a_side


@dataclass(frozen=True)
class AbstentionPoint:
    """With answers only from probability ``threshold`` on: patients answered, and of them right with its interval."""

    threshold: float
    answered: int
    right: int
    interval: Interval


@dataclass(frozen=True)
class ThresholdPoint:
    """Calling the class from probability ``threshold`` on.

    ``net_benefit`` and ``call_all`` (calling everybody) are per examined person, in true calls; calling nobody is 0.
    """

    threshold: float
    true_calls: int
    false_calls: int
    missed: int
    spared: int
    net_benefit: float
    call_all: float


@dataclass(frozen=True)
class ThresholdRates:
    """Share of the class's scans called, and of the others' spared; intervals count the patients on that side."""

    sensitivity: float
    sensitivity_interval: Interval
    patients: int
    specificity: float
    specificity_interval: Interval
    other_patients: int


def why_no_threshold(cases: Sequence[Case], label: str) -> str | None:
    """Why the counts at a threshold are not shown, or None where they are."""
    own, others = _sides(cases, label)
    if min(own, others) >= ONE_MOVES.a_side:
        return None
    return f"needs {ONE_MOVES.a_side} patients with it and as many without, found {own} and {others}: {ONE_MOVES.why}"


def why_no_abstention(cases: Sequence[Case]) -> str | None:
    """Why the abstention curve is not shown, or None where it is."""
    found = len({case.group for case in cases})
    if found >= ABSTENTION_PATIENTS:
        return None
    return (
        f"needs {ABSTENTION_PATIENTS} patients, found {found}: once half of them are declined, one patient moves "
        "the share by more than 20 points"
    )


def threshold_rates(point: ThresholdPoint, cases: Sequence[Case], label: str) -> ThresholdRates:
    """Sensitivity and specificity at a threshold, with the interval the figures of each class have."""
    own, others = _sides(cases, label)
    found = point.true_calls / (point.true_calls + point.missed)
    spared = point.spared / (point.spared + point.false_calls)
    return ThresholdRates(
        found, clustered_accuracy(found, own), own, spared, clustered_accuracy(spared, others), others
    )


def abstention_curve(cases: Sequence[Case], classes: Sequence[str]) -> tuple[AbstentionPoint, ...]:
    """How often the model is right when it may decline the patients it is least sure of.

    A patient's sureness is the highest of the mean probabilities over all scans.

    Returns:
        one point for each sureness that occurs, the fullest first; the first answers every patient.

    References:
        El-Yaniv R, Wiener Y. On the foundations of noise-free selective classification. Journal of Machine
        Learning Research 2010;11:1605-1641.
    """
    right = patients_right(cases, classes)
    scans: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for case in cases:
        scans[case.group].append(case.probabilities)
    sure = {group: float(np.mean(rows, axis=0).max()) for group, rows in scans.items()}
    points = []
    for threshold in sorted(set(sure.values())):
        answered = [group for group, value in sure.items() if value >= threshold]
        hits = sum(right[group] for group in answered)
        points.append(AbstentionPoint(threshold, len(answered), hits, clopper_pearson(hits, len(answered))))
    return tuple(points)


def threshold_point(
    cases: Sequence[Case], classes: Sequence[str], label: str, threshold: float, prevalence: float
) -> ThresholdPoint:
    """Counts and net benefit of calling ``label`` from a probability on; scans, where a patient has several.

    The threshold also says how a false call weighs against a missed one: at 0.2, four false calls cost as much as one
    true call brings.

    Args:
        threshold: in (0, 1).
        prevalence: share with the class among those examined, in [0, 1].

    Raises:
        ValueError: no scan with, or none without the class; a share outside its range.

    References:
        Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating prediction models. Medical
        Decision Making 2006;26:565-574.
    """
    if not 0 < threshold < 1 or not 0 <= prevalence <= 1:
        raise ValueError(
            f"found a threshold of {threshold} and a prevalence of {prevalence}, both are shares"
        )
    place = list(classes).index(label)
    own = [case.probabilities[place] >= threshold for case in cases if case.label == label]
    others = [case.probabilities[place] >= threshold for case in cases if case.label != label]
    if not own or not others:
        raise ValueError(
            f"a threshold needs scans with and without the class, found {len(own)} and {len(others)}"
        )
    weight = threshold / (1 - threshold) * (1 - prevalence)
    return ThresholdPoint(
        threshold=threshold,
        true_calls=sum(own),
        false_calls=sum(others),
        missed=len(own) - sum(own),
        spared=len(others) - sum(others),
        net_benefit=prevalence * sum(own) / len(own) - weight * sum(others) / len(others),
        call_all=prevalence - weight,
    )


def _sides(cases: Sequence[Case], label: str) -> tuple[int, int]:
    """Patients with a scan of the class, and with a scan of another."""
    return (
        len({case.group for case in cases if case.label == label}),
        len({case.group for case in cases if case.label != label}),
    )
