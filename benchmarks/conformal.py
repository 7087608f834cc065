"""Do sets of labels hold the right one as often as they promise? Simulated patients, with and without a query set.

python -m benchmarks.conformal [--draws 400] [--seed 0]

Three Gaussian classes in twenty dimensions, learned as the nearest of the class means, with far too sure probabilities.
Calibrated on a query set of so many patients, or on the support itself with each patient left out, where the model that
then answers has learned from one patient more. Each draw asks about 30 new patients; the promise is 90 %.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe
from medmeta.evaluation.conformal import conformal_rule
from medmeta.evaluation.result import Case

CLASSES = ("a", "b", "c")
DIMENSIONS = 20
#: Distance of the class means from the origin, in deviations; factor by which probabilities are too sure.
APART, TOO_SURE = 1.6, 3.0

Rows = tuple[NDArray[np.float64], NDArray[np.int64]]


def drawn(patients: int, random: np.random.Generator) -> Rows:
    """``(n, D)`` values and ``(n,)`` classes, equally many of each."""
    targets = np.arange(patients) % len(CLASSES)
    return APART * np.eye(len(CLASSES), DIMENSIONS)[targets] + random.normal(
        size=(patients, DIMENSIONS)
    ), targets


def chances(support: Rows, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(m, C)`` by the distance to the support's class means."""
    means = np.stack([support[0][support[1] == i].mean(axis=0) for i in range(len(CLASSES))])
    scores = -0.5 * TOO_SURE * ((values[:, None] - means) ** 2).sum(axis=2)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
    return found


def cases_of(rows: NDArray[np.float64], targets: NDArray[np.int64]) -> list[Case]:
    return [
        Case(str(i), str(i), str(i), CLASSES[target], "", tuple(map(float, row)), False, 0.0)
        for i, (row, target) in enumerate(zip(rows, targets, strict=True))
    ]


def left_out(support: Rows) -> NDArray[np.float64]:
    """``(n, C)``, each patient by the means of the others."""
    values, targets = support
    keep = ~np.eye(len(targets), dtype=bool)
    return np.concatenate(
        [chances((values[keep[i]], targets[keep[i]]), values[i : i + 1]) for i in range(len(targets))]
    )


def study(patients: int, draws: int, seed: int, *, query: bool) -> tuple[float, float, float]:
    """Share of new patients covered, of the class covered least, and the mean size of a set."""
    random = np.random.default_rng(seed)
    hits, asked, sizes = Counter[str](), Counter[str](), []
    for _ in range(draws):
        support = drawn(15 if query else patients, random)
        calibration = drawn(patients, random) if query else support
        rows = chances(support, calibration[0]) if query else left_out(support)
        rule = conformal_rule(cases_of(rows, calibration[1]), CLASSES)
        if rule is None:
            raise ValueError(f"{patients} patients are too few for a set")
        new = drawn(30, random)
        for case in cases_of(chances(support, new[0]), new[1]):
            labels = rule.labels(case.probabilities, CLASSES)
            hits[case.label] += case.label in labels
            asked[case.label] += 1
            sizes.append(len(labels))
    return (
        hits.total() / asked.total(),
        min(hits[label] / asked[label] for label in CLASSES),
        float(np.mean(sizes)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(options.seed))
    print("| calibration patients | by class | query set, % | mean size | left out, % | mean size |")
    print("|---|---|---|---|---|---|")
    for patients in (9, 15, 27, 60):
        cells = [f"{patients}", "yes" if patients >= 27 else "no"]
        for query in (True, False):
            share, least, size = study(patients, options.draws, options.seed, query=query)
            cells += [f"{100 * share:.1f} (least class {100 * least:.1f})", f"{size:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
