"""Figures of a confusion matrix beyond shares found: F1, Cohen's kappa, MCC, and predictive values.

Every function takes counts ``(..., C, C)``, ``[..., i, j]`` scans of class i predicted as class j, so that a
bootstrap's resamples are reckoned at once. Where a figure does not exist its value is nan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medmeta.evaluation.result import Interval

Values = NDArray[np.float64]


def balanced_accuracy(counts: ArrayLike) -> Values:
    """Mean sensitivity over the classes that occur, ``(...)`` in [0, 1]."""
    c = np.asarray(counts, dtype=np.float64)
    rows, hits = c.sum(axis=-1), np.diagonal(c, axis1=-2, axis2=-1)
    shares = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
    return _ratio(shares.sum(axis=-1), (rows > 0).sum(axis=-1).astype(np.float64))


def f1(counts: ArrayLike, index: int) -> Values:
    """Harmonic mean of a class's sensitivity and of the share of calls of it that are right, ``(...)`` in [0, 1].

    References:
        van Rijsbergen CJ. Information Retrieval. 2nd ed. Butterworths, 1979.
    """
    c = np.asarray(counts, dtype=np.float64)
    return _ratio(2 * c[..., index, index], c[..., index, :].sum(axis=-1) + c[..., :, index].sum(axis=-1))


def cohens_kappa(counts: ArrayLike) -> Values:
    """Agreement of label and answer beyond what the two frequencies alone would give, ``(...)`` in [-1, 1].

    References:
        Cohen J. A coefficient of agreement for nominal scales. Educational and Psychological Measurement
        1960;20:37-46.
    """
    c = np.asarray(counts, dtype=np.float64)
    total = c.sum(axis=(-2, -1))
    agreed = np.trace(c, axis1=-2, axis2=-1) * total
    chance = (c.sum(axis=-1) * c.sum(axis=-2)).sum(axis=-1)
    return _ratio(agreed - chance, total**2 - chance)


def matthews(counts: ArrayLike) -> Values:
    """Correlation of label and answer over all classes (R_K), ``(...)`` in [-1, 1].

    References:
        Gorodkin J. Comparing two K-category assignments by a K-category correlation coefficient.
        Computational Biology and Chemistry 2004;28:367-374.
    """
    c = np.asarray(counts, dtype=np.float64)
    total, labels, answers = c.sum(axis=(-2, -1)), c.sum(axis=-1), c.sum(axis=-2)
    covariance = np.trace(c, axis1=-2, axis2=-1) * total - (labels * answers).sum(axis=-1)
    spread = (total**2 - (labels**2).sum(axis=-1)) * (total**2 - (answers**2).sum(axis=-1))
    return _ratio(covariance, np.sqrt(spread))


@dataclass(frozen=True)
class PredictiveValues:
    """How often a call of the class (``positive``), or of another (``negative``), is right; None: no such call."""

    positive: float | None
    negative: float | None


def predictive_values(sensitivity: float, specificity: float, prevalence: float) -> PredictiveValues:
    """PPV and NPV where a share ``prevalence`` of those examined has the class (Bayes' rule).

    They cannot be read off the tested scans, whose mix of classes somebody chose.

    Raises:
        ValueError: an argument lies outside [0, 1].
    """
    if not all(0 <= value <= 1 for value in (sensitivity, specificity, prevalence)):
        raise ValueError(
            "sensitivity, specificity and prevalence must lie in [0, 1], found "
            f"{sensitivity}, {specificity} and {prevalence}"
        )
    true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    spared, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return PredictiveValues(
        true / (true + false) if true + false > 0 else None,
        spared / (spared + missed) if spared + missed > 0 else None,
    )


def predictive_intervals(
    sensitivity: Interval, specificity: Interval, prevalence: float
) -> tuple[Interval, Interval]:
    """Intervals of PPV and NPV from those of sensitivity and specificity.

    Both values rise with both shares, so the two lower limits give the lower limit and the two upper the upper.
    With limits at 97.5 % each the result holds at 95 % or more (Bonferroni).
    """
    low = predictive_values(sensitivity.low, specificity.low, prevalence)
    high = predictive_values(sensitivity.high, specificity.high, prevalence)
    return (
        Interval(_or(low.positive, 0.0), _or(high.positive, 1.0)),
        Interval(_or(low.negative, 0.0), _or(high.negative, 1.0)),
    )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _ratio(above: Values, below: Values) -> Values:
    found: Values = np.divide(above, below, out=np.full(np.shape(below), np.nan), where=np.asarray(below) > 0)
    return found
