"""Intervals of the area under the ROC curve when scans come in patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from medmeta.evaluation.intervals import CONFIDENCE
from medmeta.evaluation.result import Interval

#: Resamples of a bootstrap.
RESAMPLES = 1000


def auroc_interval(
    is_class: Sequence[bool], score: Sequence[float], groups: Sequence[str], confidence: float = CONFIDENCE
) -> Interval:
    """Newcombe's score interval of the AUROC (his method 5), for as many scans as those seen are worth.

    It holds every area whose standard error, as Hanley and McNeil's model has it at that area, reaches the one
    found; so it keeps its width at a perfect ranking and needs no large sample. Scans of one patient are worth
    fewer independent ones: their number is divided by DeLong's variance summed by patient (Obuchowski's) over that
    of independent scans (DeLong's or the model's, the smaller), between 1 and what full dependence would give. Few
    patients tell that ratio badly, so it is drawn towards full dependence as if two more patients had shown it.
    `benchmarks.coverage` compares.

    Args:
        is_class: n flags, true for scans of the class.
        score: n scores, higher for the class.
        groups: patient of each scan.

    Raises:
        ValueError: one side has fewer than two patients.

    References:
        Newcombe RG. Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2.
        Statistics in Medicine 2006;25:559-573.
        DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845.
        Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 1997;53:567-578.
    """
    kernel, own, others = _pairs(is_class, score, groups)
    patients = [len(set(side)) for side in (own, others)]
    if min(patients) < 2:
        raise ValueError(f"the AUROC's variance needs 2 patients on each side, found {patients}")
    alike = [_scans_a_patient(side) for side in (own, others)]
    effect = _design_effect(kernel, own, others, max(alike))
    m, n = (len(side) / min(effect, full) for side, full in zip((own, others), alike, strict=True))
    return _newcombe(float(kernel.mean()), m, n, confidence)


def _newcombe(area: float, own: float, others: float, confidence: float) -> Interval:
    z = float(norm.ppf(1 - (1 - confidence) / 2))

    def error(true: float) -> float:
        return z * float(np.sqrt(_model_variance(true, own, others)))

    # Both functions are 0 at the ends without a limit being there.
    edge = 1e-9
    low, high = 0.0, 1.0
    if area > edge:
        low = float(brentq(lambda true: area - true - error(true), edge, min(area, 1 - edge)))
    if area < 1 - edge:
        high = float(brentq(lambda true: true - area - error(true), max(area, edge), 1 - edge))
    return Interval(low, high)


def _model_variance(area: float, own: float, others: float) -> float:
    """Hanley and McNeil's variance of the area of independent scans, both sides taken as large as their mean."""
    half = (own + others) / 2 - 1
    return area * (1 - area) * (1 + half * ((1 - area) / (2 - area) + area / (1 + area))) / (own * others)


def _scans_a_patient(side: list[str]) -> float:
    """Kish's mean: scans that are worth one if a patient's scans are all alike."""
    sizes = np.array(list(Counter(side).values()))
    return float((sizes**2).sum() / sizes.sum())


def _design_effect(kernel: NDArray[np.float64], own: list[str], others: list[str], full: float) -> float:
    """How many scans are worth one independent scan: 1 with one scan a patient, at most ``full``."""
    if full == 1:
        return 1.0
    alone = _variance(
        kernel, [f"own {i}" for i in range(len(own))], [f"other {i}" for i in range(len(others))]
    )
    together = _variance(kernel, own, others)
    found = full
    if alone > 0:
        # The model's own variance is the measure where scores are spread unlike it, as on two sides of unequal spread.
        independent = min(alone, _model_variance(float(kernel.mean()), *kernel.shape))
        found = min(max(together / independent, 1.0), full)
    patients = len({*own, *others})
    return float(np.exp((patients * np.log(found) + 2 * np.log(full)) / (patients + 2)))


def _variance(kernel: NDArray[np.float64], own: list[str], others: list[str]) -> float:
    """Obuchowski's variance of the area; with one scan a group it is DeLong's own."""
    m, n = kernel.shape
    area = float(kernel.mean())
    everyone = {group: place for place, group in enumerate(dict.fromkeys((*own, *others)))}
    first, second = np.zeros(len(everyone)), np.zeros(len(everyone))
    np.add.at(first, [everyone[g] for g in own], kernel.mean(axis=1) - area)
    np.add.at(second, [everyone[g] for g in others], kernel.mean(axis=0) - area)
    i, j, all_ = len(set(own)), len(set(others)), len(everyone)
    return float(
        i / (i - 1) * (first @ first) / m**2
        + j / (j - 1) * (second @ second) / n**2
        + 2 * all_ / (all_ - 1) * (first @ second) / (m * n)
    )


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
