"""Do the intervals of the learning curve and of divisions hold, and how often is there an answer? Simulated classes,
then real scans.

python -m benchmarks.learning_curve [--data ../shared/data/meta-train/*.zip] [--draws 300] [--seed 0]

Simulated: two Gaussian classes on a line, told apart by the nearer class mean, whose accuracy at any number of shots
has a closed form. "Steep" classes overlap, so that more scans help; "flat" ones are told apart by one scan each.
"Divided anew" is the share right over ten divisions into five folds (`repeated_folds`).
Real: each data set with 5 and 10 scans a class, what the workbench would say, and how long it took.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from scipy.stats import norm

from benchmarks.machine import describe
from benchmarks.tune_anchor import load
from medmeta.evaluation.learning_curve import learning_curve
from medmeta.evaluation.repeated_folds import FOLDS, repeated_folds
from medmeta.evaluation.result import Interval, LearningCurve
from medmeta.learners.base import Prediction
from medmeta.learners.registry import load_extractor, make_learner
from medmeta.progress import Progress, silent
from medmeta.reports.learning_curve import LITTLE, bottleneck, more_scans_words
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.task import Task, make_task

DEVIATION = 100.0
#: Distance between the means, in deviations.
APART = {"steep": 1.5, "flat": 6.0}


@dataclass(frozen=True)
class NearerMean:
    """The class whose mean value is nearer."""

    classes: tuple[str, ...]
    means: tuple[float, ...]

    def predict(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Prediction:
        values = np.array([float(scan.pixels.flat[0]) for scan in scans])
        nearer = np.abs(values[:, None] - np.array(self.means)).argmin(axis=1)
        chances = np.eye(len(self.classes))[nearer]
        none = np.zeros(len(scans))
        return Prediction(
            self.classes,
            tuple(self.classes[i] for i in nearer),
            chances,
            none,
            none > 0,
            tuple(() for _ in scans),
        )

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class MeanLearner:
    """Learns the mean value of each class."""

    name: str = "nearer mean"

    def adapt(self, support: Task, *, progress: Progress = silent) -> NearerMean:
        values = np.array([float(scan.pixels.flat[0]) for scan in support.scans])
        targets = np.array(support.targets)
        means = tuple(float(values[targets == i].mean()) for i in range(len(support.classes)))
        return NearerMean(support.classes, means)


def simulated(patients: int, apart: float, random: np.random.Generator) -> Task:
    """Two classes of so many patients, one value each."""
    items: list[LabelledScan] = []
    for place, name in enumerate("ab"):
        for patient, value in enumerate(random.normal(place * apart * DEVIATION, DEVIATION, patients)):
            pixels = np.full((1, 2, 2), round(float(value)), dtype=np.int32)
            pixels[0, 1, 1] = len(items)
            items.append(LabelledScan(Scan(f"{name}{patient}", pixels, f"{name}{patient}"), name))
    return make_task(items, "simulated")


def truth(shots: int, apart: float) -> float:
    """Share right at so many shots a class."""
    beyond = norm.cdf(apart / 2 / sqrt(1 + 1 / (2 * shots)))
    ordered = norm.cdf(apart / sqrt(2 / shots))
    return float(beyond * ordered + (1 - beyond) * (1 - ordered))


def truth_divided(patients: int, apart: float) -> float:
    """Share right when folds of so many patients a class are left out in turn; the larger folds leave fewer."""
    left_out = [len(part) for part in np.array_split(np.arange(patients), FOLDS)]
    return sum(size * truth(patients - size, apart) for size in left_out) / patients


def verdict(curve: LearningCurve) -> str:
    """What the sentence says, in one word."""
    gain = curve.growth("balanced accuracy").gain_interval
    if gain.low > 0 or bottleneck(curve) is not None:
        return "help"
    return "little" if gain.high < LITTLE else "open"


def _holds(interval: Interval, value: float) -> bool:
    return interval.low <= value <= interval.high


def study(draws: int, seed: int) -> None:
    head = ("classes", "patients a class", "share right held, %", "gain held, %", "divided anew held, %")
    names = (*head, "help", "little", "open")
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for name, apart in APART.items():
        for patients in (5, 8, 15, 40):
            random = np.random.default_rng(seed)
            held, said = np.zeros(3), Counter[str]()
            for _ in range(draws):
                task = simulated(patients, apart, random)
                curve = learning_curve(MeanLearner(), task, seed=int(random.integers(2**31)))
                assert curve is not None
                growth = curve.growth("accuracy")
                most = growth.points[-1].shots
                half = -(-most // 2)
                held[0] += _holds(growth.points[-1].interval, truth(most, apart))
                held[1] += _holds(growth.gain_interval, truth(most, apart) - truth(half, apart))
                again = repeated_folds(MeanLearner(), task, seed=int(random.integers(2**31)))
                assert again is not None
                held[2] += _holds(again.interval, truth_divided(patients, apart))
                said[verdict(curve)] += 1
            shares = " | ".join(f"{100 * value / draws:.1f}" for value in held)
            told = " | ".join(str(said[word]) for word in ("help", "little", "open"))
            print(f"| {name} | {patients} | {shares} | {told} |", flush=True)


def real(paths: Sequence[Path], seed: int) -> None:
    learner = make_learner("medmeta", load_extractor("auto"))
    for path in paths:
        for shots in (5, 10):
            task = load(path, shots)
            learner.adapt(task)  # so that the scans are known
            started = time.perf_counter()
            curve = learning_curve(learner, task, seed=seed)
            assert curve is not None
            seconds = time.perf_counter() - started
            print(
                f"- {task.name}, {len(task.scans)} scans, {seconds:.0f} s: {more_scans_words(curve)}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="*", type=Path, default=[])
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(options.seed))
    study(options.draws, options.seed)
    real(options.data, options.seed)


if __name__ == "__main__":
    main()
