"""`Ground`: what every claim is measured on, read and computed once, and only when a row asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from medmeta.errors import TaskError
from medmeta.learners.base import Learner
from medmeta.learners.registry import make_learner
from medmeta.models.features import FeatureExtractor
from medmeta.progress import Progress, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.task import Task
from medmeta.training.build import MapRows
from medmeta.training.checkpoint import config_hash
from medmeta.training.tensors import extract_features


@dataclass(frozen=True)
class Sizes:
    """How much is measured; the defaults are the full measurement.

    Attributes:
        episodes: few-shot episodes a test set.
        shots, queries: support and query scans a class.
        per_class: scans of a class that are used, whole patients at a time; None for all.
        left_outs: meta-train sets left out in turn where trainings race.
        validation_tasks: fixed tasks of the left-out set that an epoch is judged by.
        family_epochs, our_epochs: of MAML's training and of ours.
        tasks_per_epoch: of both, in batches of four.
        seeds: trainings of each sampler.
        trials: configurations that the architecture search tries.
        rank: directions of our within-class basis, where none is searched.
        near_episodes, tuned_episodes: of ours and of fine-tuning on each set's held-out classes.
        tuned_start: the stage from which near-domain fine-tuning learns; the first one is full fine-tuning.
        raced_tasks: tasks of each test set on which adapting races fine-tuning.
        budget: steps that fine-tuning may take.
    """

    episodes: int = 600
    shots: int = 5
    queries: int = 15
    per_class: int | None = None
    left_outs: int = 2
    validation_tasks: int = 30
    family_epochs: int = 5
    our_epochs: int = 10
    tasks_per_epoch: int = 40
    seeds: int = 3
    trials: int = 8
    rank: int = 64
    near_episodes: int = 200
    tuned_episodes: int = 5
    tuned_start: str = "conv1"
    raced_tasks: int = 8
    budget: int = 30


QUICK = Sizes(
    episodes=20,
    per_class=40,
    left_outs=1,
    validation_tasks=12,
    family_epochs=2,
    our_epochs=4,
    tasks_per_epoch=20,
    trials=4,
    near_episodes=20,
    tuned_episodes=2,
    tuned_start="conv6",
    raced_tasks=1,
    budget=10,
)


@dataclass(frozen=True, eq=False)
class Ground:
    """Data, backbone and sizes.

    Attributes:
        read_train, read_test: read the meta-train sets and the test sets; called at most once.
        extractor: the original trunk.
        out: folder of the table; results that ``bench few-shot`` wrote there are taken over.
        sizes: how much is measured.
        seed: of everything random.
        near_trunk: weights of a trunk that was trained without the near-domain classes.
        jobs: processes; by default one a core.
        make: the learner of a name.
        progress: told how the present row is going.
    """

    read_train: Callable[[], Sequence[LabelledSet]]
    read_test: Callable[[], Sequence[Task]]
    extractor: FeatureExtractor
    out: Path
    sizes: Sizes = Sizes()
    seed: int = 0
    near_trunk: Path | None = None
    jobs: int | None = None
    make: Callable[[str, FeatureExtractor], Learner] = make_learner
    progress: Progress = silent

    @cached_property
    def train(self) -> tuple[LabelledSet, ...]:
        """The meta-train sets.

        Raises:
            TaskError: there are fewer than two, so that none can be left out.
        """
        found = tuple(shortened(data, self.sizes.per_class) for data in self.read_train())
        if len(found) < 2:
            raise TaskError(f"at least 2 meta-train sets are needed to leave one out, found {len(found)}")
        return found

    @cached_property
    def trainings(self) -> Path:
        """Folder of the trainings of these data and sizes; what was interrupted there goes on."""
        data = [[each.name, list(each.classes), len(each.items)] for each in self.train]
        digest = config_hash({"sizes": asdict(self.sizes), "seed": self.seed, "data": data})
        return self.out / "trainings" / digest[:12]

    @cached_property
    def test(self) -> tuple[Task, ...]:
        """The test sets."""
        most = self.sizes.per_class
        return tuple(
            task if most is None else task.subset(first_of_each(task.targets, task.groups, most))
            for task in self.read_test()
        )

    @cached_property
    def statistics(self) -> dict[str, Tensor]:
        """``(n, D)`` statistics of the original trunk for each meta-train set, by name."""
        return self.looked_at(self.extractor)

    @cached_property
    def maps(self) -> dict[str, Tensor]:
        """``(n, C*h*w)`` float16 input maps of the trunk's last stage for each meta-train set, by name."""
        start = self.extractor.trunk.stage_names[-1]
        made_with = f"{self.extractor.backbone.sha256} maps {start}"
        rows = MapRows(self.extractor, start)
        return extract_features(self.train, rows, made_with, self.out / "features", progress=self.progress)

    def looked_at(self, extractor: FeatureExtractor) -> dict[str, Tensor]:
        """Statistics of the meta-train sets by any trunk, kept in ``out`` and remembered by the extractor."""
        found = extract_features(
            self.train,
            Statistics(extractor),
            extractor.backbone.sha256,
            self.out / "features",
            progress=self.progress,
        )
        for data in self.train:
            extractor.remember(scans_of(data), found[data.name])
        return found

    def fresh(self, learner: str) -> Learner:
        """A learner that has looked at no scan yet, its weights loaded."""
        return self.make(learner, FeatureExtractor(self.extractor.backbone, self.extractor.device))


class Statistics:
    """An extractor whose ``extract`` gives the statistics of all blocks."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        self.extract = extractor.statistics


def scans_of(data: LabelledSet) -> list[Scan]:
    """The scans of a set.

    Raises:
        TaskError: it holds texts.
    """
    scans = [item for item in data.items if isinstance(item, Scan)]
    if len(scans) < len(data.items):
        raise TaskError(f"{data.name} holds texts; the claims are measured on scans")
    return scans


def task_of(data: LabelledSet) -> Task:
    """A set of scans as a task with all its classes."""
    labels = tuple(data.classes[target] for target in data.targets)
    return Task(data.name, data.classes, tuple(scans_of(data)), labels)


def shortened(data: LabelledSet, per_class: int | None) -> LabelledSet:
    """About the first ``per_class`` scans of each class, whole groups at a time; None keeps all."""
    if per_class is None:
        return data
    kept = first_of_each(data.targets.tolist(), data.groups, per_class)
    scans = scans_of(data)
    return LabelledSet(
        data.name,
        data.domain,
        data.classes,
        np.array([data.targets[i] for i in kept], dtype=np.int64),
        tuple(data.groups[i] for i in kept),
        [scans[i] for i in kept],
        data.descriptions,
    )


def first_of_each(targets: Sequence[int], groups: Sequence[str], per_class: int) -> list[int]:
    """Positions of at least the first ``per_class`` items of each class, with all others of their groups."""
    counts: dict[int, int] = {}
    kept: set[str] = set()
    for target, group in zip(targets, groups, strict=True):
        if counts.get(target, 0) < per_class:
            kept.add(group)
            counts[target] = counts.get(target, 0) + 1
    return [position for position, group in enumerate(groups) if group in kept]
