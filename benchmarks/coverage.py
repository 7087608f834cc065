"""Whether the 95 % intervals cover the truth 95 % of the time, by simulation.

python -m benchmarks.coverage [--draws 2000] [--icc 0.3] [--spread 1] [--seed 0]

Patients are right with a chance of their own (beta-distributed; ``--icc`` is the correlation of two scans of one
patient), true shares run from 0.55 to 0.95. For each interval: how often it holds the truth, the mean over the
true shares, and in brackets the lowest of them. AUROC: normal scores with a patient's own shift, true areas 0.7, 0.8
and 0.9, as many patients with as without the class, the class's scores ``--spread`` times as wide as the others', an
eighth of the draws. The naive interval beside each counts all
scans as if they were independent: Wald's, and for the AUROC the same interval with every scan a patient.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm

from benchmarks.machine import describe
from medmeta.evaluation.intervals import clopper_pearson, scan_share, wilson
from medmeta.evaluation.ranking import auroc_interval
from medmeta.evaluation.result import Interval

PATIENTS = (6, 10, 20, 50, 100, 200)
SHARES = tuple(float(share) for share in np.linspace(0.55, 0.95, 9))
AREAS = (0.7, 0.8, 0.9)


def wald(correct: int, n: int) -> Interval:
    """The textbook interval of a proportion: no width at 0 or n."""
    share = correct / n
    half = float(norm.ppf(0.975)) * (share * (1 - share) / n) ** 0.5
    return Interval(share - half, share + half)


def mid_p(correct: int, n: int, confidence: float = 0.95) -> Interval:
    """The exact interval with half the weight of the observed count: narrower, and no longer guaranteed.

    Args:
        correct: successes in [0, n].
        n: independent trials, at least 1; patients, never scans of the same patient.

    References:
        Berry G, Armitage P. Mid-P confidence intervals: a brief review. The Statistician 1995;44:417-423.
    """
    tail = (1 - confidence) / 2

    def below(share: float) -> float:  # falls as the share rises
        return float(binom.cdf(correct - 1, n, share) + binom.pmf(correct, n, share) / 2)

    low = 0.0 if correct == 0 else float(brentq(lambda share: below(share) - (1 - tail), 0.0, 1.0))
    high = 1.0 if correct == n else float(brentq(lambda share: below(share) - tail, 0.0, 1.0))
    return Interval(low, high)


def blaker(correct: int, n: int, confidence: float = 0.95) -> Interval:
    """About the narrowest interval that never holds the truth less often than asked; inside Clopper and Pearson's.

    It holds the shares at which counts at least as unusual as the one seen (by the lesser tail) are not too rare.

    Args:
        correct: successes in [0, n].
        n: independent trials, at least 1; patients, never scans of the same patient.

    References:
        Blaker H. Confidence curves and improved exact confidence intervals for discrete distributions. Canadian
        Journal of Statistics 2000;28:783-798.
    """
    counts, shares = np.arange(n + 1), np.linspace(0.0, 1.0, 10_001)
    chances = binom.pmf(counts, n, shares[:, None])
    tails = np.minimum(chances.cumsum(axis=1), chances[:, ::-1].cumsum(axis=1)[:, ::-1])
    unusual = tails <= tails[:, correct, None] + 1e-12
    held = shares[(chances * unusual).sum(axis=1) > 1 - confidence]
    return Interval(float(held[0]), float(held[-1]))


def covers(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def coverage_of_counts(
    interval: Callable[[int, int], Interval], n: int, shares: Sequence[float]
) -> list[float]:
    """Exact coverage of an interval of k of n at each true share: no simulation is needed for independent trials."""
    intervals = [interval(k, n) for k in range(n + 1)]
    return [
        float(sum(binom.pmf(k, n, share) for k, found in enumerate(intervals) if covers(found, share)))
        for share in shares
    ]


def draw_right(
    share: float, n: int, scans: int, icc: float, draws: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Scans right of each patient, ``(draws, n)``."""
    if scans == 1:
        return random.binomial(1, share, (draws, n))
    strength = (1 - icc) / icc
    return random.binomial(scans, random.beta(share * strength, (1 - share) * strength, (draws, n)))


def coverage_of_scans(
    interval: Callable[[NDArray[np.int64], int], Interval], drawn: Sequence[NDArray[np.int64]], scans: int
) -> list[float]:
    """Coverage at each true share of an interval made from the scans right of each patient."""
    return [
        float(np.mean([covers(interval(right, scans), share) for right in draws]))
        for share, draws in zip(SHARES, drawn, strict=True)
    ]


def coverage_of_areas(
    n: int, scans: int, icc: float, draws: int, random: np.random.Generator, spread: float = 1.0
) -> tuple[list[float], list[float]]:
    """Coverage at each true area of the AUROC's interval by patients, and by scans."""
    flags = np.repeat(np.arange(n) % 2 == 0, scans)
    patients = np.repeat(np.arange(n), scans)
    by_patient = [str(patient) for patient in patients]
    by_scan = [str(scan) for scan in range(len(patients))]
    ours, naive = [], []
    for area in AREAS:
        apart = float(norm.ppf(area)) * (1 + spread**2) ** 0.5
        hits = np.zeros((draws, 2), dtype=bool)
        for draw in range(draws):
            shift, noise = random.normal(size=n)[patients], random.normal(size=len(patients))
            drawn = icc**0.5 * shift + (1 - icc) ** 0.5 * noise if scans > 1 else noise
            score = apart * flags + np.where(flags, spread, 1.0) * drawn
            hits[draw] = [
                covers(auroc_interval(list(flags), list(score), g), area) for g in (by_patient, by_scan)
            ]
        ours.append(float(hits[:, 0].mean()))
        naive.append(float(hits[:, 1].mean()))
    return ours, naive


def told(values: Sequence[float]) -> str:
    return f"{100 * float(np.mean(values)):.1f} ({100 * min(values):.1f})"


def row(n: int, scans: int, icc: float, draws: int, random: np.random.Generator, spread: float) -> list[str]:
    """One line of the table."""
    drawn = [draw_right(share, n, scans, icc, draws, random) for share in SHARES]

    @cache
    def naive(correct: int) -> Interval:
        return wald(correct, n * scans)

    areas = coverage_of_areas(n, scans, icc, max(draws // 8, 10), random, spread)
    counts = [
        coverage_of_counts(interval, n, SHARES) for interval in (clopper_pearson, blaker, mid_p, wilson)
    ]
    return [
        str(n),
        str(scans),
        *map(told, counts),
        told(coverage_of_scans(lambda right, m: scan_share(right.tolist(), [m] * n), drawn, scans)),
        told(coverage_of_scans(lambda right, m: naive(int(right.sum())), drawn, scans)),
        *map(told, areas),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--icc", type=float, default=0.3)
    parser.add_argument("--spread", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(options.seed))
    names = (
        "patients",
        "scans each",
        "patients right, exact (shipped)",
        "Blaker",
        "mid-p",
        "Wilson",
        "scans right (shipped)",
        "naive",
        "AUROC by patient (shipped)",
        "naive",
    )
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for scans in (1, 5):
        for n in PATIENTS:
            random = np.random.default_rng((options.seed, n, scans))
            print(
                f"| {' | '.join(row(n, scans, options.icc, options.draws, random, options.spread))} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
