"""Learners that keep the backbone frozen: features, heads stacked by left-out groups, and nothing else.

`FrozenLearner` serves the anchor and the simple baselines alike, so a comparison between them compares heads
and not views, calibration or code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from medmeta import __version__
from medmeta.errors import ModelError, TaskError
from medmeta.learners.base import Neighbour, Prediction
from medmeta.learners.cards import weight_lines
from medmeta.models import weights
from medmeta.models.features import FeatureExtractor
from medmeta.models.stack import HeadSetting, Stack, fit_stack
from medmeta.models.threads import one_thread
from medmeta.models.twin import TwinExtractor, TwinSpace
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
#: Least usual distance, a tenth of what is usual: copies under two patients' names would make everything else strange.
LEAST_DISTANCE = 0.01
#: Below this lead of the first over the second class the answer is open.
LEAST_LEAD = 0.05
NEIGHBOURS = 3
FORMAT = "medmeta task model 4"


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
        space: where the heads live, if not on the extractor's own features.
    """

    learner: str
    classes: tuple[str, ...]
    stack: Stack
    support: Tensor
    members: tuple[tuple[str, str, str], ...]
    usual_distance: float
    extractor: FeatureExtractor
    space: TwinSpace | None = None

    def predict(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Prediction:
        """Predict scans; nothing is changed, and a scan alone gets the answer it gets in a batch."""
        z = self.embed(scans, progress=progress)
        chances = self.stack.probabilities(z).numpy()
        return judged(self.classes, chances, z, self.support, self.members, self.usual_distance)

    def embed(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        """``(m, D)`` float64 unit-length features, as :attr:`support` holds them."""
        if self.space is None:
            return embed(self.extractor.extract(scans, progress=progress))
        return self.space.embed(scans, progress=progress)

    def save(self, folder: Path | str) -> None:
        """Write ``model.safetensors`` and its card ``model.json`` into ``folder``."""
        stack = self.stack
        weights.write(
            Path(folder) / "model.safetensors",
            {
                "weight": stack.weight,
                "bias": stack.bias,
                "temperatures": stack.temperatures,
                "shares": stack.shares,
                "support": self.support,
                **({} if self.space is None else {"centre": self.space.centre}),
            },
            {
                "format": FORMAT,
                **card_of(self.learner, self.classes, self.members, self.usual_distance, self.extractor),
                **({} if self.space is None else {"medical_sha256": self.space.twin.medical.backbone.sha256}),
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

    def similarities(self, support: Task) -> Tensor:
        """Cosines of the support's scans, ``(n, n)`` float64."""
        z = embed(self.extractor.extract(support.scans))
        return z @ z.T

    def adapt(self, support: Task, *, progress: Progress = silent) -> FrozenTaskModel:
        """Learn the support's classes.

        Raises:
            TaskError: all scans come from one group, so nothing can be left out to weigh the heads.
            CancelledError: ``progress`` asked to stop.
        """
        members = members_of(support)
        groups = len(set(support.groups))
        features = self.extractor.extract(support.scans, progress=part(progress, 0.0, 0.9))
        progress(0.9, "Fitting the classifier")
        z = embed(features)
        shared = None if groups <= MAX_SINGLE_FOLDS else SHARED_FOLDS
        folds = leave_one_group_out(support.groups, support.targets, shared)
        targets = torch.tensor(support.targets)
        with one_thread():
            stack = fit_stack(self.heads, z, targets, len(support.classes), [fold.test for fold in folds])
        distance = usual_distance(z, support.groups)
        progress(1.0, "Adapted")
        return FrozenTaskModel(self.name, support.classes, stack, z, members, distance, self.extractor)


def judged(
    classes: tuple[str, ...],
    chances: NDArray[np.float64],
    z: Tensor,
    support: Tensor,
    members: Sequence[tuple[str, str, str]],
    usual: float,
) -> Prediction:
    """Probabilities completed by neighbours, out-of-domain score and abstention, each row by itself.

    Args:
        classes: C label names.
        chances: ``(m, C)`` probabilities.
        z: ``(m, D)`` :func:`embed`-ed frozen features of the same scans.
        support, members, usual: as in :class:`FrozenTaskModel`.
    """
    # Row by row: a matrix product may sum in another order when m differs.
    cosines = np.stack([(support @ row).numpy() for row in z]) if len(z) else np.empty((0, 1))
    out_of_domain = (1.0 - cosines.max(axis=1)) / usual
    ordered = np.sort(chances, axis=1)
    lead = ordered[:, -1] - ordered[:, -2]
    return Prediction(
        classes=classes,
        labels=tuple(classes[i] for i in chances.argmax(axis=1)),
        probabilities=chances,
        out_of_domain=out_of_domain,
        abstained=(out_of_domain > OUT_OF_DOMAIN) | (lead < LEAST_LEAD),
        neighbours=tuple(_nearest(row, members) for row in cosines),
    )


def _nearest(cosines: NDArray[np.float64], members: Sequence[tuple[str, str, str]]) -> tuple[Neighbour, ...]:
    best = np.argsort(-cosines, kind="stable")[:NEIGHBOURS]
    return tuple(Neighbour(members[i][0], members[i][1], members[i][2], float(cosines[i])) for i in best)


def members_of(support: Task) -> tuple[tuple[str, str, str], ...]:
    """(scan id, file, label) of each support scan.

    Raises:
        TaskError: all scans come from one group, so nothing can be left out to judge by.
    """
    if len(set(support.groups)) < 2:
        raise TaskError("all scans come from one patient; add scans of at least one more patient")
    return tuple(
        (scan.id, scan.file, label) for scan, label in zip(support.scans, support.labels, strict=True)
    )


def card_of(
    learner: str,
    classes: tuple[str, ...],
    members: Sequence[tuple[str, str, str]],
    usual: float,
    extractor: FeatureExtractor,
) -> dict[str, Any]:
    """What the card of every saved task model says, beside its format."""
    return {
        "learner": learner,
        "classes": list(classes),
        "members": [list(member) for member in members],
        "usual_distance": usual,
        "backbone": extractor.backbone.card.name,
        "backbone_sha256": extractor.backbone.sha256,
        "weights": weight_lines(learner),
        "medmeta": __version__,
        "torch": str(torch.__version__),
        "intended_use": RESEARCH_USE_ONLY,
    }


def restore(
    name: str, tensors: Mapping[str, Tensor], card: Mapping[str, Any], extractor: FeatureExtractor
) -> FrozenTaskModel:
    """The task model that `FrozenTaskModel.save` wrote; ``name`` is what errors call it.

    Raises:
        ModelError: incomplete, or made with another backbone.
    """
    space, same = None, card.get("backbone_sha256") == extractor.backbone.sha256
    if "medical_sha256" in card and "centre" in tensors:
        space = TwinSpace(TwinExtractor.beside(extractor), tensors["centre"])
        same = same and card["medical_sha256"] == space.twin.medical.backbone.sha256
    if not same:
        raise ModelError(f"{name} was adapted with another backbone; adapt again with this version")
    try:
        members = tuple((str(a), str(b), str(c)) for a, b, c in card["members"])
        classes = tuple(str(label) for label in card["classes"])
        stack = Stack(*(tensors[key] for key in ("weight", "bias", "temperatures", "shares")))
        support, distance = tensors["support"], float(card["usual_distance"])
        learner = str(card["learner"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{name} holds an incomplete model; adapt again") from error
    heads, size = stack.shares.numel(), extractor.size if space is None else space.size
    fits = stack.weight.shape == (heads, len(classes), size) and support.shape == (len(members), size)
    fits = fits and (space is None or space.centre.shape == (size,))
    if not fits or stack.bias.shape != (heads, len(classes)) or support.dtype != torch.float64:
        raise ModelError(f"{name} holds a model whose parts do not fit together; adapt again")
    return FrozenTaskModel(learner, classes, stack, support, members, distance, extractor, space)


def embed(features: Tensor) -> Tensor:
    """Unit-length features, ``(n, D)`` float64, so that inner products are cosines."""
    return F.normalize(features.to(torch.float64), dim=1)


def usual_distance(z: Tensor, groups: Sequence[str]) -> float:
    """Median over scans of one minus the cosine to the nearest scan of another group, at least `LEAST_DISTANCE`."""
    codes = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    group = torch.tensor([codes[g] for g in groups])
    cosines = (z @ z.T).masked_fill(group[:, None] == group[None, :], -torch.inf)
    return max(float((1.0 - cosines.max(dim=1).values).median()), LEAST_DISTANCE)
