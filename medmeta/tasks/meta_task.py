"""What meta-training works on: `MetaTask`, a draw by positions, and `FeatureTask`, the same as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medmeta.errors import TaskError


@dataclass(frozen=True)
class MetaTask:
    """One draw of support and query from a `LabelledSet`, classes permuted; no group has items in both.

    Attributes:
        source: name of the set.
        domain: its domain.
        classes: the ways, in this task's (permuted) order.
        support, query: positions of the items in the set.
        support_targets, query_targets: index into ``classes`` of each of them.
    """

    source: str
    domain: str
    classes: tuple[str, ...]
    support: tuple[int, ...]
    query: tuple[int, ...]
    support_targets: tuple[int, ...]
    query_targets: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class FeatureTask:
    """A task in feature space.

    Attributes:
        source: name of the set it was drawn from; tasks of one source never retrieve each other's memory.
        domain: its domain.
        ways: C.
        support: ``(n, D)`` float, one row an item.
        support_targets: ``(n,)`` int64.
        support_groups: ``(n,)`` int64 codes; equal codes are one patient.
        query: ``(m, D)``; empty while adapting for a person.
        query_targets: ``(m,)`` int64.
        modality: DICOM Modality (0008,0060) where every support scan agrees, else None.
        body_part: DICOM BodyPartExamined (0018,0015), likewise.
        text: ``(T,)`` embedding of the task's and classes' descriptions, or None.
        synthetic: made by interpolation or by the feature GAN; allowed in meta-training alone.
    """

    source: str
    domain: str
    ways: int
    support: Tensor
    support_targets: Tensor
    support_groups: Tensor
    query: Tensor
    query_targets: Tensor
    modality: str | None = None
    body_part: str | None = None
    text: Tensor | None = None
    synthetic: bool = False

    def __post_init__(self) -> None:
        n, m = len(self.support), len(self.query)
        if self.support_targets.shape != (n,) or self.support_groups.shape != (n,):
            raise TaskError(f"{self.source}: {n} support rows need as many targets and groups")
        if self.query_targets.shape != (m,):
            raise TaskError(f"{self.source}: {m} query rows need as many targets")

    def to(self, device: torch.device | str) -> FeatureTask:
        """The same task with its tensors on ``device``."""
        return replace(
            self,
            support=self.support.to(device),
            support_targets=self.support_targets.to(device),
            support_groups=self.support_groups.to(device),
            query=self.query.to(device),
            query_targets=self.query_targets.to(device),
            text=None if self.text is None else self.text.to(device),
        )
