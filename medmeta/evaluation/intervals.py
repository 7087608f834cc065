"""95 % intervals that stay honest for a handful of patients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.stats import beta, norm

from medmeta.evaluation.result import Interval

#: Confidence of every interval the workbench shows.
CONFIDENCE = 0.95


def clopper_pearson(correct: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Exact two-sided interval of a proportion.

    Args:
        correct: successes in [0, n]. It need not be whole: see :func:`clustered_accuracy`.
        n: independent trials, at least 1; patients, never scans of the same patient.

    Raises:
        ValueError: ``n`` below 1 or ``correct`` outside [0, n].

    References:
        Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in the case of the
        binomial. Biometrika 1934;26:404-413.
    """
    _check(correct, n)
    return _exact(correct, n, confidence)


def _exact(correct: float, n: float, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low = 0.0 if correct <= 0 else float(beta.ppf(tail, correct, n - correct + 1))
    high = 1.0 if correct >= n else float(beta.ppf(1 - tail, correct + 1, n - correct))
    return Interval(low, high)


def wilson(correct: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Score interval of a proportion: about 95 % on average over true rates, where the exact one has more.

    Args:
        correct: successes in [0, n].
        n: independent trials, at least 1; patients, never scans of the same patient.

    Raises:
        ValueError: ``n`` below 1 or ``correct`` outside [0, n].

    References:
        Wilson EB. Probable inference, the law of succession, and statistical inference. Journal of the
        American Statistical Association 1927;22:209-212.
    """
    _check(correct, n)
    z2 = float(norm.ppf(1 - (1 - confidence) / 2)) ** 2
    share = correct / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0))


def _check(correct: float, n: int) -> None:
    if n < 1 or not 0 <= correct <= n:
        raise ValueError(f"an interval needs 0 <= correct <= n and n >= 1, found {correct} of {n}")


def clustered_accuracy(share: float, n_groups: int, confidence: float = CONFIDENCE) -> Interval:
    """Interval of a share of *scans* whose independent units are *patients*.

    Scans of one patient tend to be right or wrong together, so they are not independent trials; an
    interval over all scans is too narrow. This is the exact interval of ``share * n_groups``
    successes in ``n_groups`` trials: the Clopper-Pearson limits continued to real-valued counts,
    with the effective sample size of full correlation within a patient. It is conservative where
    patients have about equally many scans; where one patient has most of the scans the
    share itself leans on that patient, which the evaluation's notes then say.

    References:
        Korn EL, Graubard BI. Confidence intervals for proportions with small expected number of
        positive counts estimated from survey data. Survey Methodology 1998;24:193-201.
    """
    return clopper_pearson(min(max(share, 0.0), 1.0) * n_groups, n_groups, confidence)


def scan_share(right: Sequence[int], scans: Sequence[int], confidence: float = CONFIDENCE) -> Interval:
    """Interval of a share of scans, by how alike the scans of one patient turn out to be.

    The variance between patients gives the number of independent scans worth as much as those seen; this is the
    exact interval for that number. It is never above the scans, nor below the patients (Kish's number of them
    where their scans are uneven), which it also is where every scan is right, or wrong, and nothing varies.

    Args:
        right: scans of each patient predicted right.
        scans: scans of each patient, at least one.

    Raises:
        ValueError: no patient, or counts that do not fit.

    References:
        Korn EL, Graubard BI. Survey Methodology 1998;24:193-201, without their correction for few degrees of
        freedom, which `benchmarks.coverage` shows to widen an interval that is wide enough.
    """
    hits, sizes = np.asarray(right, dtype=np.float64), np.asarray(scans, dtype=np.float64)
    if (
        not len(hits)
        or hits.shape != sizes.shape
        or (hits < 0).any()
        or (hits > sizes).any()
        or sizes.min() < 1
    ):
        raise ValueError(f"found {list(right)} right of {list(scans)} scans of {len(hits)} patients")
    n, total = len(hits), float(sizes.sum())
    share = float(hits.sum()) / total
    fewest, worth = total**2 / float((sizes**2).sum()), 0.0
    if n > 1 and 0 < share < 1:
        variance = n / (n - 1) * float(((hits - share * sizes) ** 2).sum()) / total**2
        # Without variance every patient has the same share: its scans agree no more than chance.
        worth = share * (1 - share) / variance if variance > 0 else total
    worth = min(max(worth, fewest), total)
    return _exact(share * worth, worth, confidence)


def paired_difference(only_first: int, only_second: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Score interval of the difference of two proportions measured on the same n patients.

    Args:
        only_first: patients the first method gets right and the second wrong.
        only_second: patients the second gets right and the first wrong.
        n: all patients, those on which both agree included.

    Returns:
        interval of (share right by the first) - (share right by the second), within [-1, 1]. It has
        a width even where the two methods never differ, as it must for few patients.

    Raises:
        ValueError: counts that are negative or exceed ``n``.

    References:
        Tango T. Equivalence test and confidence interval for the difference in proportions for the
        paired-sample design. Statistics in Medicine 1998;17:891-908. Recommended for small samples by
        Fagerland MW, Lydersen S, Laake P. Statistics in Medicine 2014;33:2850-2875.
    """
    if min(only_first, only_second) < 0 or only_first + only_second > n or n < 1:
        raise ValueError(f"found {only_first} and {only_second} differing patients among {n}")
    z = float(norm.ppf(1 - (1 - confidence) / 2))
    estimate = (only_first - only_second) / n

    def excess(difference: float, sign: float) -> float:
        return _score(difference, only_first, only_second, n) - sign * z

    edge = 1 - 1e-12
    low = -1.0 if estimate <= -edge else float(brentq(excess, -edge, estimate, args=(1.0,)))
    high = 1.0 if estimate >= edge else float(brentq(excess, estimate, edge, args=(-1.0,)))
    return Interval(low, high)


def _score(difference: float, first: int, second: int, n: int) -> float:
    """Tango's standardised score at ``difference``; falls as ``difference`` rises."""
    a = 2.0 * n
    b = -first - second + (2.0 * n - first + second) * difference
    c = -second * difference * (1 - difference)
    # Share of pairs "second only right" that is most likely under the difference.
    nuisance = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * nuisance + difference * (1 - difference))
    numerator = first - second - n * difference
    if variance <= 0:
        return 0.0 if numerator == 0 else math.copysign(math.inf, numerator)
    return numerator / math.sqrt(variance)
