"""Intervals of the area under the ROC curve when scans come in patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from medmeta.evaluation.intervals import CONFIDENCE, clopper_pearson
from medmeta.evaluation.result import Interval

#: Resamples of a bootstrap.
RESAMPLES = 1000


def delong(
    is_class: Sequence[bool], score: Sequence[float], groups: Sequence[str], confidence: float = CONFIDENCE
) -> Interval:
    """DeLong's interval of the AUROC on the logit scale, its variance summed by patient.

    With one scan a patient the variance is DeLong's own; with several it is Obuchowski's extension. The quantile is
    Student's with as many degrees of freedom as patients less 2, as for the difference of two means: with the normal
    one, 10 patients of 5 scans are covered too seldom (`benchmarks.coverage`). A perfect (or perfectly wrong) ranking
    leaves no variance to estimate; then the limit is exact: as many disjoint pairs as the smaller side has patients
    were all ordered alike, which has probability AUROC to that power.

    Args:
        is_class: n flags, true for scans of the class.
        score: n scores, higher for the class.
        groups: patient of each scan.

    Raises:
        ValueError: one side has fewer than two patients.

    References:
        DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845.
        Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 1997;53:567-578.
    """
    kernel, own, others = _pairs(is_class, score, groups)
    m, n = kernel.shape
    patients = [len(set(side)) for side in (own, others)]
    if min(patients) < 2:
        raise ValueError(f"the AUROC's variance needs 2 patients on each side, found {patients}")
    area = float(kernel.mean())
    if area in (0.0, 1.0):
        return clopper_pearson(area * min(patients), min(patients), confidence)
    everyone = {group: place for place, group in enumerate(dict.fromkeys((*own, *others)))}
    first, second = np.zeros(len(everyone)), np.zeros(len(everyone))
    np.add.at(first, [everyone[g] for g in own], kernel.mean(axis=1) - area)
    np.add.at(second, [everyone[g] for g in others], kernel.mean(axis=0) - area)
    variance = (
        patients[0] / (patients[0] - 1) * float(first @ first) / m**2
        + patients[1] / (patients[1] - 1) * float(second @ second) / n**2
        + 2 * len(everyone) / (len(everyone) - 1) * float(first @ second) / (m * n)
    )
    freedom = max(len(everyone) - 2, 1)
    half = (
        float(t.ppf(1 - (1 - confidence) / 2, freedom))
        * float(np.sqrt(max(variance, 0.0)))
        / (area * (1 - area))
    )
    odds = np.log(area / (1 - area)) + np.array([-half, half])
    low, high = 1 / (1 + np.exp(-odds))
    return Interval(float(low), float(high))


def bootstrap_auroc(
    is_class: Sequence[bool],
    score: Sequence[float],
    groups: Sequence[str],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Percentile interval of the AUROC over resampled patients; draws with one side empty are left out.

    Raises:
        ValueError: one side has no scan.

    References:
        Rutter CM. Bootstrap estimation of diagnostic accuracy with patient-clustered data. Academic Radiology
        2000;7:413-419.
    """
    kernel, own, others = _pairs(is_class, score, groups)
    everyone = {group: place for place, group in enumerate(dict.fromkeys((*own, *others)))}
    drawn = patient_weights(len(everyone), seed=seed, resamples=resamples)
    first, second = drawn[:, [everyone[g] for g in own]], drawn[:, [everyone[g] for g in others]]
    weight = first.sum(axis=1) * second.sum(axis=1)
    kept = weight > 0
    areas = np.einsum("bi,bi->b", first[kept] @ kernel, second[kept]) / weight[kept]
    return percentiles(areas, confidence)


def patient_weights(n: int, *, seed: int, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """How often each of n patients is drawn with replacement, ``(resamples, n)``; rows sum to n."""
    random = np.random.default_rng(seed)
    return random.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)


def percentiles(values: NDArray[np.float64], confidence: float = CONFIDENCE) -> Interval:
    """Percentile interval of resampled values; values that do not exist (nan) are left out.

    Raises:
        ValueError: no value exists.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        raise ValueError("no resample has a value")
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _pairs(
    is_class: Sequence[bool], score: Sequence[float], groups: Sequence[str]
) -> tuple[NDArray[np.float64], list[str], list[str]]:
    """Which pairs (scan of the class, other scan) are ordered rightly, ties by half; and the sides' patients."""
    flags, values = np.asarray(is_class, dtype=bool), np.asarray(score, dtype=np.float64)
    if flags.all() or not flags.any():
        raise ValueError("an AUROC needs scans on both sides")
    gap = values[flags][:, None] - values[~flags][None, :]
    own = [group for group, flag in zip(groups, flags, strict=True) if flag]
    others = [group for group, flag in zip(groups, flags, strict=True) if not flag]
    return (gap > 0) + 0.5 * (gap == 0), own, others
