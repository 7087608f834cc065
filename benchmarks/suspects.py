"""How often a planted wrong label is among the three suspects the workbench names.

python -m benchmarks.suspects --data ../shared/data/meta-train/*.zip [--trials 40] [--learner medmeta] [--seed 0]

Each trial draws two classes of a data set and five patients of each, gives one of the ten scans the label of the other
class, and leaves each patient out in turn. Chance would put the scan among three of ten in 30 % of trials. The
workbench ranks by refits with every other label (first column), and names only those not clearly confirmed (second);
the other columns rank by how far a learner's left-out answer speaks against the label. Last, how many of three the
workbench names where every label is right.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe
from benchmarks.tune_anchor import load
from medmeta.evaluation.influence import Similar, influences
from medmeta.evaluation.intervals import clopper_pearson
from medmeta.evaluation.left_out import leave_out
from medmeta.evaluation.suspects import CLEARED, SUSPECTS, doubts
from medmeta.learners.base import Learner
from medmeta.learners.registry import BASELINES, load_extractor, make_learner
from medmeta.progress import silent
from medmeta.scans.scan import LabelledScan
from medmeta.tasks.splits import leave_one_group_out
from medmeta.tasks.task import Task, make_task

SHOTS = 5


@dataclass(frozen=True)
class Planted:
    """A support with one wrong label: that of the scan at ``position``."""

    task: Task
    position: int


def plant(task: Task, random: np.random.Generator) -> Planted:
    """Two classes, five patients of each with one scan, and one label turned over."""
    pair = [task.classes[int(i)] for i in random.choice(len(task.classes), 2, replace=False)]
    chosen: list[int] = []
    for name in pair:
        taken = {task.groups[i] for i in chosen}
        first: dict[str, int] = {}
        for i in random.permutation([i for i, label in enumerate(task.labels) if label == name]):
            if task.groups[int(i)] not in taken:
                first.setdefault(task.groups[int(i)], int(i))
        chosen += list(first.values())[:SHOTS]
    position = int(random.integers(len(chosen)))
    labels = [task.labels[i] for i in chosen]
    labels[position] = pair[1] if labels[position] == pair[0] else pair[0]
    items = [LabelledScan(task.scans[i], label) for i, label in zip(chosen, labels, strict=True)]
    return Planted(make_task(items, task.name), position)


def rank(doubt: NDArray[np.float64], position: int) -> int:
    """Place of a scan among the suspects, from 1; equals count against it."""
    return int((doubt >= doubt[position]).sum())


def named_without_cause(planted: Planted, learner: Similar) -> int:
    """Labels the workbench would name, at most three, were the turned one turned back."""
    task = planted.task
    right = list(task.targets)
    right[planted.position] = 1 - right[planted.position]
    found = influences(learner.similarities(task), right, task.groups, len(task.classes))
    return min(int((found.evidence > CLEARED).sum()), SUSPECTS)


def trial(planted: Planted, learners: Sequence[Learner]) -> Mapping[str, int]:
    """Place of the wrong label by the first learner's refits, and by each learner's left-out answers."""
    task, first = planted.task, learners[0]
    places = {}
    if isinstance(first, Similar):
        found = influences(first.similarities(task), task.targets, task.groups, len(task.classes))
        place = rank(found.evidence, planted.position)
        places[f"{first.name}, relabelled"] = place
        named = found.evidence[planted.position] > CLEARED
        places[f"{first.name}, named"] = place if named else len(task.scans)
    readings = leave_out(learners, task, leave_one_group_out(task.groups, task.targets), silent)
    return places | {
        learner.name: rank(doubts(cases, task.classes), planted.position)
        for learner, cases in zip(learners, readings, strict=True)
    }


def table(places: Mapping[str, Sequence[Mapping[str, int]]]) -> str:
    """Markdown: of each data set's trials, how many have the wrong label among the suspects."""
    names = list(next(iter(places.values()))[0])
    lines = [f"| data set | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    whole = [place for found in places.values() for place in found]
    for title, found in [*places.items(), ("all", whole)]:
        cells = []
        for name in names:
            hits = sum(place[name] <= SUSPECTS for place in found)
            limits = clopper_pearson(hits, len(found))
            cells.append(f"{hits} of {len(found)} ({100 * limits.low:.0f} to {100 * limits.high:.0f} %)")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--per-class", type=int, default=12)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--learner", default="default")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(options.seed))
    extractor = load_extractor("auto")
    learners = [make_learner(name, extractor) for name in (options.learner, *BASELINES)]
    places: dict[str, list[Mapping[str, int]]] = {}
    causeless: list[int] = []
    for path in options.data:
        task = load(path, options.per_class)
        random = np.random.default_rng(options.seed)
        drawn = [plant(task, random) for _ in range(options.trials)]
        places[task.name] = [trial(planted, learners) for planted in drawn]
        if isinstance(learners[0], Similar):
            causeless += [named_without_cause(planted, learners[0]) for planted in drawn]
        print(f"{task.name} done", flush=True)
    print(table(places))
    if causeless:
        none = sum(not count for count in causeless)
        print(
            f"\nWith every label right, {np.mean(causeless):.2f} are named on average, and none in {none} of "
            f"{len(causeless)} trials."
        )


if __name__ == "__main__":
    main()
