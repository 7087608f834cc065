"""Ours: a head fitted to the support in the space that the meta-model has learned, with what `Parts` adds to it.

Two frozen trunks look at each scan, ImageNet's and the one tuned on the meta-train sets; `MetaModel` is what was
meta-trained above them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from medmeta.errors import ModelError
from medmeta.learners.frozen import FrozenTaskModel, members_of, usual_distance
from medmeta.models.backbones import ASSETS
from medmeta.models.descriptor import agreed
from medmeta.models.features import FeatureExtractor
from medmeta.models.meta_model import MetaModel
from medmeta.models.meta_model_file import read_meta_model
from medmeta.models.threads import one_thread
from medmeta.models.twin import TwinExtractor, TwinSpace
from medmeta.progress import Progress, part, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.meta_task import FeatureTask
from medmeta.tasks.task import Task

SHIPPED = ASSETS / "medmeta.safetensors"


@dataclass(frozen=True, eq=False)
class MetaLearner:
    """Adapts the meta-model to a support set.

    Attributes:
        name: registry name.
        model: in eval mode; never changed.
        space: both trunks, around the model's centre.
        extractor: the shared extractor behind the first of them.
    """

    name: str
    model: MetaModel
    space: TwinSpace
    extractor: FeatureExtractor

    def look(self, scans: Sequence[Scan], *, progress: Progress = silent) -> None:
        """Compute and remember what both trunks see in scans that will be asked about often."""
        self.space.twin.extract(scans, progress=progress)

    def similarities(self, support: Task) -> torch.Tensor:
        """Inner products of the support's scans where the adaptation starts, ``(n, n)`` float64."""
        return self.model.similarities(feature_task(support, self.space.embed(support.scans)))

    def adapt(self, support: Task, *, progress: Progress = silent) -> FrozenTaskModel:
        """Learn the support's classes.

        Raises:
            TaskError: all scans come from one group, so nothing can be left out to judge by.
            CancelledError: ``progress`` asked to stop.
        """
        return self.adapt_all([support], progress=progress)[0]

    def adapt_all(self, supports: Sequence[Task], *, progress: Progress = silent) -> list[FrozenTaskModel]:
        """:meth:`adapt` to each support, in one pass: for many small ones much quicker than one after the other."""
        members = [members_of(support) for support in supports]
        tasks = []
        for number, support in enumerate(supports):
            share = part(progress, 0.9 * number / len(supports), 0.9 * (number + 1) / len(supports))
            tasks.append(feature_task(support, self.space.embed(support.scans, progress=share)))
        progress(0.9, "Adapting the model")
        with one_thread():
            stacks = self.model.adapt_all(tasks)
        models = [
            FrozenTaskModel(
                self.name,
                support.classes,
                stack,
                task.support,
                known,
                usual_distance(task.support, support.groups),
                self.extractor,
                self.space,
            )
            for support, task, stack, known in zip(supports, tasks, stacks, members, strict=True)
        ]
        progress(1.0, "Adapted")
        return models


def feature_task(support: Task, z: torch.Tensor) -> FeatureTask:
    """A person's support set as the meta-model reads it; the query is empty."""
    codes = {group: code for code, group in enumerate(dict.fromkeys(support.groups))}
    parts = [
        str(scan.tags["BodyPartExamined"]) if scan.tags.get("BodyPartExamined") else None
        for scan in support.scans
    ]
    return FeatureTask(
        source=support.name,
        domain="",
        ways=len(support.classes),
        support=z,
        support_targets=torch.tensor(support.targets),
        support_groups=torch.tensor([codes[group] for group in support.groups]),
        query=z[:0],
        query_targets=torch.zeros(0, dtype=torch.int64),
        modality=agreed([scan.modality for scan in support.scans]),
        body_part=agreed(parts),
    )


def medmeta(extractor: FeatureExtractor, path: Path = SHIPPED) -> MetaLearner:
    """The shipped meta-model, or another one.

    Raises:
        ModelError: weights missing or altered, or made for features of other lengths.
    """
    model, _ = read_meta_model(path)
    twin = TwinExtractor.beside(extractor)
    if twin.blocks != model.blocks:
        raise ModelError(
            f"{path.name} expects feature blocks of {model.blocks}, these trunks give {twin.blocks}; install the "
            "meta-model that belongs to them"
        )
    return MetaLearner("medmeta", model, TwinSpace(twin, model.centre), extractor)
