"""95 % intervals of accuracies and of paired differences over few-shot episodes, and what each of them covers.

Episodes of one data set redraw the same scans, and data sets are few. So one number never has one true interval:

- over *episodes* (`normal_interval`, `t_interval`): what other draws of support and query from these same scans
  would give. It shrinks with the number of episodes and says nothing of other patients.
- over *patients* (`patients_interval`): what other patients to predict, of the same data set, would give.
- over *data sets* (`t_interval` of their means, `two_level_interval`): what other data sets would give. Every data
  set counts alike, however many episodes it has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from medmeta.evaluation.result import Interval

#: Quantile of the normal distribution that leaves 2.5 % above it, as the field rounds it.
NORMAL = 1.96
DRAWS = 2000


def normal_interval(values: ArrayLike) -> Interval | None:
    """Mean of n independent values plus and minus 1.96 standard errors; None for fewer than two."""
    return _around(values, NORMAL)


def t_interval(values: ArrayLike) -> Interval | None:
    """Student's interval of the mean of n independent values; None for fewer than two.

    Of the differences of two methods on the same episodes it is the interval of the paired t-test; of data sets'
    means it is the interval over data sets, very wide for two of them, as it has to be.
    """
    spare = np.size(values) - 1
    return _around(values, float(student.ppf(0.975, spare))) if spare > 0 else None


def patients_interval(differences: ArrayLike, strata: ArrayLike, groups: ArrayLike) -> Interval | None:
    """Interval of a mean difference over queries that keep asking the same patients, clustered by patient.

    A patient is asked in many episodes and may have several scans; all of its answers move together. The mean is a
    ratio (sum over patients of their differences by the sum of their queries), linearised: what a patient adds is
    the sum of its differences from the mean of their class. As every episode asks equally many queries of a class,
    what differs between classes is not chance and does not widen the interval.

    It covers which patients were there to be predicted, given the supports that were drawn; the chance of those
    supports is in the interval over episodes. Read the wider of the two.

    Args:
        differences: ``(m,)``, one a query and episode; for two methods on one scan -1, 0 or 1.
        strata: ``(m,)`` class of each query.
        groups: ``(m,)`` patient of each query.

    Returns:
        Student's interval with as many degrees of freedom as patients minus classes; None without any.

    References:
        Cochran WG. Sampling Techniques, 3rd ed., 1977, sections 5A and 11.
        Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models. Biometrika 1986;73:13-22.
    """
    difference = np.asarray(differences, dtype=np.float64)
    stratum = np.unique(np.asarray(strata), return_inverse=True)[1]
    group = np.unique(np.asarray(groups), return_inverse=True)[1]
    if not len(difference):
        return None
    n_groups, n_strata = int(group.max()) + 1, int(stratum.max()) + 1
    spare = n_groups - n_strata
    if spare < 1:
        return None
    centre = np.bincount(stratum, difference) / np.bincount(stratum)
    added = np.bincount(group, difference - centre[stratum]) / len(difference)
    # Groups over spare is n / (n - 1) within each of equally large strata.
    error = float(np.sqrt(n_groups / spare * (added**2).sum()))
    half = float(student.ppf(0.975, spare)) * error
    return Interval(float(difference.mean()) - half, float(difference.mean()) + half)


def two_level_interval(
    differences: Sequence[NDArray[np.float64]], *, seed: int, draws: int = DRAWS
) -> Interval | None:
    """Percentile interval of the mean of the data sets' mean differences, by a two-level bootstrap.

    Each draw resamples data sets, and within each the episodes. With D data sets it sees (D - 1) / D of the
    variance between them, so for two or three it is too narrow: `t_interval` over their means stands beside it.

    Args:
        differences: for each data set the differences of its episodes, at least one.
        seed: of the resampling.
        draws: bootstrap samples.

    Returns:
        the 2.5 % and 97.5 % quantiles; None for fewer than two data sets.

    References:
        Davison AC, Hinkley DV. Bootstrap Methods and their Application, 1997, section 3.8.
    """
    sets = len(differences)
    if sets < 2:
        return None
    random = np.random.default_rng(seed)
    chosen = random.integers(sets, size=(draws, sets))
    means = np.empty((draws, sets))
    for position, values in enumerate(differences):
        here = chosen == position
        again = random.integers(len(values), size=(int(here.sum()), len(values)))
        means[here] = values[again].mean(axis=1)
    low, high = np.quantile(means.mean(axis=1), [0.025, 0.975])
    return Interval(float(low), float(high))


def _around(values: ArrayLike, factor: float) -> Interval | None:
    found = np.asarray(values, dtype=np.float64)
    if found.size < 2:
        return None
    mean, half = float(found.mean()), factor * float(found.std(ddof=1)) / np.sqrt(found.size)
    return Interval(float(mean - half), float(mean + half))
