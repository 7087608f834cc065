"""A task whose scans carry their answer in the pixels, and a learner that reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from medmeta.learners.base import Neighbour, Prediction
from medmeta.progress import Progress, silent
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.task import Task, make_task

#: (label, patient, value in the pixels)
Row = tuple[str, str, int]


@dataclass(frozen=True)
class NearestValueModel:
    """Nearest class mean of the pixel value; probabilities from the distances."""

    classes: tuple[str, ...]
    means: tuple[float, ...]
    members: tuple[Neighbour, ...]

    def predict(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Prediction:
        values = np.array([float(scan.pixels.flat[0]) for scan in scans])
        near = -np.abs(values[:, None] - np.array(self.means)[None, :])
        odds = np.exp(near - near.max(axis=1, keepdims=True))
        p = odds / odds.sum(axis=1, keepdims=True)
        return Prediction(
            classes=self.classes,
            labels=tuple(self.classes[i] for i in p.argmax(axis=1)),
            probabilities=p,
            out_of_domain=np.zeros(len(scans)),
            abstained=p.max(axis=1) < 0.6,
            neighbours=tuple(self.members[:1] for _ in scans),
        )

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@dataclass
class NearestValue:
    """Remembers what it was given, so that a test can look for leaks."""

    name: str = "nearest value"
    device_name: str = "CPU"
    seen: list[Task] = field(default_factory=list)

    def adapt(self, support: Task, *, progress: Progress = silent) -> NearestValueModel:
        progress(0.5, "inner sentence")
        self.seen.append(support)
        values = np.array([float(scan.pixels.flat[0]) for scan in support.scans])
        targets = np.array(support.targets)
        means = tuple(float(values[targets == i].mean()) for i in range(len(support.classes)))
        first = support.scans[0]
        member = Neighbour(first.id, first.file, support.labels[0], 0.5)
        return NearestValueModel(support.classes, means, (member,))


def task_of(rows: Sequence[Row], **scan_fields: object) -> Task:
    items = []
    for number, (label, patient, value) in enumerate(rows):
        pixels = np.full((1, 4, 4), value, dtype=np.int16)
        pixels[0, 3, 3] = number  # no two scans have equal pixels
        source = str(scan_fields.get("group_source", "PatientID"))
        tags = {"Modality": str(scan_fields.get("modality", {}).get(label, "CR"))}  # type: ignore[attr-defined]
        scan = Scan(f"{label}/{number:03d}", pixels, patient, source, tags)
        items.append(LabelledScan(scan, label))
    return make_task(items, "a task")


@pytest.fixture
def make() -> Callable[..., Task]:
    return task_of


@pytest.fixture
def learner() -> NearestValue:
    return NearestValue()


@pytest.fixture
def new_learner() -> type[NearestValue]:
    return NearestValue
