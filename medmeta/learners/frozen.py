"""Learners that keep the backbone frozen: features, heads stacked by left-out groups, and nothing else.

`FrozenLearner` serves the anchor and the simple baselines alike, so a comparison between them compares heads
and not views, calibration or code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medmeta.errors import TaskError
from medmeta.learners.base import Neighbour, Prediction
from medmeta.models import weights
from medmeta.models.features import FeatureExtractor
from medmeta.models.stack import HeadSetting, Stack, fit_stack
from medmeta.models.threads import one_thread
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.progress import Progress, part, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.splits import leave_one_group_out
from medmeta.tasks.task import Task

#: Up to this many groups are left out one by one to fit shares and temperatures; more share ten folds.
MAX_SINGLE_FOLDS = 32
SHARED_FOLDS = 10
#: A scan this many times farther from the support than the support's scans from each other is unlike it: on the
#: meta-train sets that flags few scans of the task and nearly every scan of another (benchmarks.tune_anchor).
OUT_OF_DOMAIN = 2.0
#: Below this lead of the first over the second class the answer is open.
LEAST_LEAD = 0.05
NEIGHBOURS = 3


@dataclass(frozen=True, eq=False)
class FrozenTaskModel:
    """A fitted stack with the support's features for neighbours and the out-of-domain score.

    Attributes:
        learner: name of the learner that made it.
        classes: C label names.
        stack: the fitted heads.
        support: ``(n, D)`` float64 unit-length features.
        members: (scan id, file, label) of each support scan.
        usual_distance: median distance of a support scan to the nearest one of another group.
        extractor: shared; never changed.
    """

    learner: str
    classes: tuple[str, ...]
    stack: Stack
    support: Tensor
    members: tuple[tuple[str, str, str], ...]
    usual_distance: float
    extractor: FeatureExtractor

    def predict(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Prediction:
        """Predict scans; nothing is changed, and a scan alone gets the answer it gets in a batch."""
        z = embed(self.extractor.extract(scans, progress=progress))
        chances = self.stack.probabilities(z).numpy()
        cosines = (
            np.stack([(self.support * row).sum(dim=1).numpy() for row in z])
            if len(scans)
            else np.empty((0, 1))
        )
        out_of_domain = (1.0 - cosines.max(axis=1)) / self.usual_distance
        ordered = np.sort(chances, axis=1)
        lead = ordered[:, -1] - ordered[:, -2]
        return Prediction(
            classes=self.classes,
            labels=tuple(self.classes[i] for i in chances.argmax(axis=1)),
            probabilities=chances,
            out_of_domain=out_of_domain,
            abstained=(out_of_domain > OUT_OF_DOMAIN) | (lead < LEAST_LEAD),
            neighbours=tuple(self._nearest(row) for row in cosines),
        )

    def _nearest(self, cosines: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[Neighbour, ...]:
        best = np.argsort(-cosines, kind="stable")[:NEIGHBOURS]
        found = []
        for i in best:
            scan_id, file, label = self.members[i]
            found.append(Neighbour(scan_id, file, label, float(cosines[i])))
        return tuple(found)

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and its card ``model.json`` into ``folder``."""
        stack = self.stack
        weights.write(
            folder / "model.safetensors",
            {
                "weight": stack.weight,
                "bias": stack.bias,
                "temperatures": stack.temperatures,
                "shares": stack.shares,
                "support": self.support,
            },
            {
                "format": "medmeta task model 1",
                "learner": self.learner,
                "classes": list(self.classes),
                "members": [list(member) for member in self.members],
                "usual_distance": self.usual_distance,
                "backbone": self.extractor.backbone.card.name,
                "backbone_sha256": self.extractor.backbone.sha256,
                "intended_use": RESEARCH_USE_ONLY,
            },
        )


@dataclass(frozen=True, eq=False)
class FrozenLearner:
    """Adapts by fitting heads on frozen features.

    Attributes:
        name: registry name.
        heads: the heads stacked.
        extractor: shared feature extractor.
    """

    name: str
    heads: tuple[HeadSetting, ...]
    extractor: FeatureExtractor

    def adapt(self, support: Task, *, progress: Progress = silent) -> FrozenTaskModel:
        """Learn the support's classes.

        Raises:
            TaskError: all scans come from one group, so nothing can be left out to weigh the heads.
            CancelledError: ``progress`` asked to stop.
        """
        groups = len(set(support.groups))
        if groups < 2:
            raise TaskError("all scans come from one patient; add scans of at least one more patient")
        features = self.extractor.extract(support.scans, progress=part(progress, 0.0, 0.9))
        progress(0.9, "Fitting the classifier")
        z = embed(features)
        shared = None if groups <= MAX_SINGLE_FOLDS else SHARED_FOLDS
        folds = leave_one_group_out(support.groups, support.targets, shared)
        targets = torch.tensor(support.targets)
        with one_thread():
            stack = fit_stack(self.heads, z, targets, len(support.classes), [fold.test for fold in folds])
        members = tuple(
            (scan.id, scan.file, label) for scan, label in zip(support.scans, support.labels, strict=True)
        )
        distance = usual_distance(z, support.groups)
        progress(1.0, "Adapted")
        return FrozenTaskModel(self.name, support.classes, stack, z, members, distance, self.extractor)


def embed(features: Tensor) -> Tensor:
    """Unit-length features, ``(n, D)`` float64, so that inner products are cosines."""
    return F.normalize(features.to(torch.float64), dim=1)


def usual_distance(z: Tensor, groups: Sequence[str]) -> float:
    """Median over scans of one minus the cosine to the nearest scan of another group."""
    codes = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    group = torch.tensor([codes[g] for g in groups])
    cosines = (z @ z.T).masked_fill(group[:, None] == group[None, :], -torch.inf)
    return max(float((1.0 - cosines.max(dim=1).values).median()), 1e-6)
