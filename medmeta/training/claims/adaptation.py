"""Adaptation time: ours against full fine-tuning until it is as accurate.

One task's few queries cannot say when that is: the first step that happens to answer them as well is mostly luck,
and nobody may stop by looking at them. So accuracy is averaged over a data set's tasks, step by step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from medmeta.learners.finetune import FineTuner, finetune
from medmeta.models.features import FeatureExtractor
from medmeta.models.functional import TailClassifier
from medmeta.tasks.episodes import draw_episodes
from medmeta.tasks.task import Task
from medmeta.training.claims.claim import Claim, ClaimResult
from medmeta.training.claims.ground import Ground

TARGET = 7.7


#: Steps after which fine-tuning is judged, up to its budget.
JUDGED = (1, 2, 3, 5, 8, 12, 16, 20, 30, 45, 70, 100)


@dataclass(frozen=True)
class Judged:
    """Fine-tuning on one task after some steps; ``seconds`` are of its steps, judging them is not counted."""

    steps: int
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class Raced:
    """One task: ours, and fine-tuning at each judged step, the last of which is its budget's."""

    data: str
    seconds: float
    accuracy: float
    tuned: tuple[Judged, ...]


def fine_tune(
    tuner: FineTuner, support: Task, query: Task, clock: Callable[[], float] = time.perf_counter
) -> tuple[Judged, ...]:
    """Fine-tune, and judge it by the query at the steps of :data:`JUDGED` and after the last.

    Args:
        tuner: its ``steps`` are the budget.
        query: of the support's classes.
        clock: seconds.
    """
    extractor = tuner.extractor
    maps = extractor.maps(query.scans, tuner.start)
    targets = [support.classes.index(label) for label in query.labels]
    spent, since, rows = 0.0, 0.0, list[Judged]()

    def watch(network: TailClassifier, steps: int) -> None:
        nonlocal spent, since
        spent += clock() - since if steps else 0.0
        if steps in JUDGED or steps == tuner.steps:
            rows.append(Judged(steps, spent, _accuracy(network, maps, targets, extractor)))
        since = clock()

    tuner.adapt(support, after_step=watch)
    return tuple(rows)


def _accuracy(
    network: TailClassifier, maps: Tensor, targets: Sequence[int], extractor: FeatureExtractor
) -> float:
    with torch.no_grad():
        found = [int(network.scores(views.to(extractor.device).float()).argmax()) for views in maps]
    return float(np.mean(np.array(found) == np.array(targets)))


def measure(ground: Ground) -> ClaimResult:
    sizes = ground.sizes
    rows: list[Raced] = []
    for task in ground.test:
        drawn = list(
            draw_episodes(
                task, shots=sizes.shots, queries=sizes.queries, episodes=sizes.raced_tasks, seed=ground.seed
            )
        )
        ground.fresh("medmeta").adapt(task.subset(drawn[0].support))  # warms up
        for number, episode in enumerate(drawn):
            support, query = task.subset(episode.support), task.subset(episode.query)
            ours = ground.fresh("medmeta")
            began = time.perf_counter()
            model = ours.adapt(support)
            seconds = time.perf_counter() - began
            labels = model.predict(query.scans).labels
            right = float(np.mean([a == b for a, b in zip(labels, query.labels, strict=True)]))
            extractor = FeatureExtractor(ground.extractor.backbone, ground.extractor.device)
            tuner = finetune(extractor, extractor.trunk.stage_names[0], sizes.budget)
            rows.append(Raced(task.name, seconds, right, fine_tune(tuner, support, query)))
            ground.progress((number + 1) / len(drawn), f"{task.name}: task {number + 1} of {len(drawn)}")
    return outcome(rows, sizes.budget)


@dataclass(frozen=True)
class Ratio:
    """How many times longer fine-tuning takes on one data set; a lower bound where it did not get there."""

    value: float
    reached: bool
    ours: float
    theirs: float
    accuracy: float
    curve: tuple[tuple[int, float], ...]


def ratio_of(rows: Sequence[Raced]) -> Ratio:
    """Of one data set's tasks: median seconds to the first judged step whose mean accuracy is at least ours."""
    ours, goal = float(np.median([row.seconds for row in rows])), float(np.mean([r.accuracy for r in rows]))
    curve = [
        (steps[0].steps, float(np.mean([each.accuracy for each in steps])))
        for steps in zip(*(row.tuned for row in rows), strict=True)
    ]
    there = [place for place, (_, accuracy) in enumerate(curve) if accuracy >= goal - 1e-9]
    place = there[0] if there else len(curve) - 1
    theirs = float(np.median([row.tuned[place].seconds for row in rows]))
    return Ratio(theirs / ours, bool(there), ours, theirs, goal, tuple(curve))


def outcome(rows: Sequence[Raced], budget: int) -> ClaimResult:
    """The smallest of the data sets' ratios."""
    names = list(dict.fromkeys(row.data for row in rows))
    ratios = {name: ratio_of([row for row in rows if row.data == name]) for name in names}
    least = min(ratios.values(), key=lambda each: each.value)
    words = "; ".join(
        f"{name}: {'' if each.reached else 'at least '}{each.value:.1f} times, {each.ours:.2f} s against "
        f"{each.theirs:.1f} s"
        for name, each in ratios.items()
    )
    return ClaimResult(
        reached=f"{'' if least.reached else 'at least '}{least.value:.1f} times quicker ({words})",
        met=least.value >= TARGET,
        value=least.value,
        interval=None,
        n=len(rows),
        of="tasks",
        how="median seconds to adapt, models loaded and every feature computed anew, against full fine-tuning of the "
        "original trunk until its accuracy on the same queries, averaged over a data set's tasks, is at least ours, "
        f"within {budget} steps; the smallest ratio of the data sets counts",
        details={
            "ratios": {name: asdict(each) for name, each in ratios.items()},
            "tasks": [asdict(row) for row in rows],
        },
    )


CLAIM = Claim(
    "adaptation",
    "adaptation against pretraining and full fine-tuning",
    "7.7 times quicker (18 min against 2.3 h)",
    measure,
    ("medmeta",),
)
