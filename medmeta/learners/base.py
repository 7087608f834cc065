"""The contract of every method: `learner.adapt(support) -> TaskModel`, `task_model.predict(scans)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medmeta.progress import Progress, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.task import Task


@dataclass(frozen=True)
class Neighbour:
    """A support scan that looks like the scan in question to the model.

    Attributes:
        scan_id: ``Scan.id`` of the support scan.
        file: the name it was uploaded under.
        label: its label.
        similarity: cosine of the two feature vectors, in [-1, 1].
    """

    scan_id: str
    file: str
    label: str
    similarity: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a task model says about n scans of C classes.

    Attributes:
        classes: real label names, C of them.
        labels: most probable label of each scan, n of them.
        probabilities: (n, C) float64, rows sum to 1, calibrated on the support's left-out scans.
        out_of_domain: (n,) float64; how far the scan lies from the support, as a multiple of the
            distance usual among the support's own left-out scans. Above ``OUT_OF_DOMAIN`` is unlike it.
        abstained: (n,) bool; the model declines: the scan is unlike the support or the answer is open.
        neighbours: for each scan the nearest support scans, nearest first.
    """

    classes: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    out_of_domain: NDArray[np.float64]
    abstained: NDArray[np.bool_]
    neighbours: tuple[tuple[Neighbour, ...], ...]


class TaskModel(Protocol):
    """An adapted model. ``predict`` changes nothing, and one scan alone gets the batch's answer."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def predict(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Prediction: ...

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and its ``model.json`` card into ``folder``."""
        ...


class Learner(Protocol):
    """A method of adaptation. ``adapt`` never changes the learner or the meta-model behind it.

    One that takes several supports at a time offers ``adapt_all(supports)`` as well; see `evaluation.in_turn`.
    """

    @property
    def name(self) -> str: ...

    def adapt(self, support: Task, *, progress: Progress = silent) -> TaskModel:
        """Learn ``support.classes`` from ``support``; a class may have a single scan.

        Raises:
            TaskError: the support cannot be learned from.
            CancelledError: ``progress`` asked to stop.
        """
        ...
