"""`LabelledSet`: a whole labelled data set that meta-training draws tasks from, images and text alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medmeta.errors import TaskError
from medmeta.scans.scan import Scan
from medmeta.tasks.task import Task


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """A labelled data set.

    Attributes:
        name: unique among the sets used together.
        domain: what kind of data it is, for example ``"blood"``, ``"mri"`` or ``"xray"``.
        classes: C class names.
        targets: ``(n,)`` int64, index into ``classes`` of each item.
        groups: n groups (patients); a group is never split between support and query.
        items: the n scans, or n texts.
        descriptions: optional plain-text description of a class, by name.

    Raises:
        TaskError: lengths differ, a target lies outside the classes, or there are fewer than two classes.
    """

    name: str
    domain: str
    classes: tuple[str, ...]
    targets: NDArray[np.int64]
    groups: tuple[str, ...]
    items: Sequence[Scan] | Sequence[str]
    descriptions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.items)
        if self.targets.shape != (n,) or len(self.groups) != n:
            raise TaskError(
                f"{self.name}: {n} items need as many targets and groups, found {self.targets.shape[0]} and "
                f"{len(self.groups)}"
            )
        if len(self.classes) < 2:
            raise TaskError(f"{self.name}: at least 2 classes are needed, found {len(self.classes)}")
        if n and not 0 <= int(self.targets.min()) <= int(self.targets.max()) < len(self.classes):
            raise TaskError(f"{self.name}: targets must lie in 0..{len(self.classes) - 1}")
        self.targets.setflags(write=False)

    @classmethod
    def from_task(cls, task: Task, domain: str) -> LabelledSet:
        """A checked task of scans as a data set of ``domain``."""
        targets = np.asarray(task.targets, dtype=np.int64)
        return cls(task.name, domain, task.classes, targets, task.groups, task.scans, dict(task.descriptions))
