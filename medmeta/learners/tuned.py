"""Task models that change part of the network, and the learner that runs a meta-trained inner loop.

Out-of-domain score, abstention and neighbours come from the frozen features, by the same code as for
`FrozenTaskModel`; only the probabilities come from the changed network.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from medmeta.errors import ModelError
from medmeta.learners.base import Prediction
from medmeta.learners.frozen import card_of, embed, judged, members_of, usual_distance
from medmeta.models import weights
from medmeta.models.backbones import ASSETS
from medmeta.models.features import FeatureExtractor
from medmeta.models.functional import TailClassifier
from medmeta.models.inner_loop import InnerLoop
from medmeta.models.staged import Tail
from medmeta.models.threads import one_thread
from medmeta.progress import Progress, part, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.task import Task

FORMAT = "medmeta tuned task model 3"
#: Scans whose maps are held at a time.
BUNDLE = 32


@dataclass(frozen=True, eq=False)
class TunedTaskModel:
    """A tail and classifier of this task's own, with the support's frozen features beside them.

    Attributes:
        learner: name of the learner that made it.
        classes: C label names.
        start: the stage whose input maps ``network`` takes.
        network: never changed once made.
        temperature: factor on the scores before the softmax.
        support: ``(n, D)`` float64 unit-length frozen features.
        members: (scan id, file, label) of each support scan.
        usual_distance: median distance of a support scan to the nearest one of another group.
        extractor: shared; never changed.
    """

    learner: str
    classes: tuple[str, ...]
    start: str
    network: TailClassifier
    temperature: float
    support: Tensor
    members: tuple[tuple[str, str, str], ...]
    usual_distance: float
    extractor: FeatureExtractor

    def predict(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Prediction:
        """Predict scans; nothing is changed, and a scan alone gets the answer it gets in a batch."""
        z = embed(self.extractor.extract(scans, progress=part(progress, 0.0, 0.4)))
        rows = []
        with torch.no_grad(), one_thread():
            for first in range(0, len(scans), BUNDLE):
                some = scans[first : first + BUNDLE]
                shares = (0.4 + 0.6 * done / len(scans) for done in (first, first + len(some)))
                maps = self.extractor.maps(some, self.start, progress=part(progress, *shares))
                # One scan a pass: a larger batch may sum in another order.
                rows += [self.network.scores(views.to(self.extractor.device).float()).cpu() for views in maps]
        scores = torch.stack(rows) if rows else torch.empty(0, len(self.classes))
        chances = torch.softmax(self.temperature * scores.to(torch.float64), dim=1).numpy()
        return judged(self.classes, chances, z, self.support, self.members, self.usual_distance)

    def save(self, folder: Path | str) -> None:
        """Write ``model.safetensors`` and its card ``model.json`` into ``folder``."""
        network = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        weights.write(
            Path(folder) / "model.safetensors",
            {**network, "support": self.support},
            {
                "format": FORMAT,
                "start": self.start,
                "temperature": self.temperature,
                **card_of(self.learner, self.classes, self.members, self.usual_distance, self.extractor),
            },
        )


def load_tuned(folder: Path, extractor: FeatureExtractor) -> TunedTaskModel:
    """Read what :meth:`TunedTaskModel.save` wrote.

    Raises:
        ModelError: missing or altered, of another format, or made with another backbone.
    """
    tensors, card = weights.read(folder / "model.safetensors")
    if card.get("format") != FORMAT:
        raise ModelError(f"{folder.name} holds a model of another format; adapt again with this version")
    if card.get("backbone_sha256") != extractor.backbone.sha256:
        raise ModelError(f"{folder.name} was adapted with another backbone; adapt again with this version")
    try:
        classes = tuple(str(name) for name in card["classes"])
        members = tuple((str(a), str(b), str(c)) for a, b, c in card["members"])
        start, support = str(card["start"]), tensors.pop("support")
        network = own_classifier(extractor, start, len(classes))
        network.load_state_dict({name.removeprefix("network."): value for name, value in tensors.items()})
        temperature, distance = float(card["temperature"]), float(card["usual_distance"])
        learner = str(card["learner"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder.name} holds an incomplete model; adapt again") from error
    if support.shape != (len(members), extractor.size) or support.dtype != torch.float64:
        raise ModelError(f"{folder.name} holds a model whose parts do not fit together; adapt again")
    return TunedTaskModel(
        learner,
        classes,
        start,
        network.requires_grad_(False),
        temperature,
        support,
        members,
        distance,
        extractor,
    )


def own_classifier(extractor: FeatureExtractor, start: str, ways: int) -> TailClassifier:
    """A copy of the extractor's stages from ``start`` on, below a classifier of zeros; free to be changed."""
    tail = copy.deepcopy(Tail(extractor.trunk, start)).requires_grad_(True)
    return TailClassifier(tail, extractor.size, ways).to(extractor.device)


def make_tuned(
    learner: str,
    support: Task,
    z: Tensor,
    start: str,
    network: TailClassifier,
    temperature: float,
    extractor: FeatureExtractor,
) -> TunedTaskModel:
    """The task model around a network that has learned; ``z`` are the support's :func:`embed`-ed features."""
    return TunedTaskModel(
        learner,
        support.classes,
        start,
        network.requires_grad_(False),
        temperature,
        z,
        members_of(support),
        usual_distance(z, support.groups),
        extractor,
    )


@dataclass(frozen=True, eq=False)
class InnerLoopLearner:
    """Adapts by the meta-trained inner loop: every step sees the whole support, one row a scan (its first view).

    Scores need no temperature of their own: meta-training minimises the cross entropy of exactly these scores on
    scans the inner loop has not seen.

    Attributes:
        name: registry name, and the ``method`` on the weights' card.
        loop: the meta-trained start; never changed.
        extractor: shared feature extractor.
    """

    name: str
    loop: InnerLoop
    extractor: FeatureExtractor

    @classmethod
    def read(cls, name: str, extractor: FeatureExtractor, path: Path | None) -> InnerLoopLearner:
        """The learner with the weights at ``path`` (default: ``assets/NAME.safetensors``).

        Raises:
            ModelError: there are none yet, or they are of another method or backbone.
        """
        path = path or ASSETS / f"{name}.safetensors"
        if not path.exists():
            raise ModelError(
                f"{name} needs meta-trained weights, but {path.name} is missing; meta-train them with "
                f"`python -m benchmarks.train_maml --methods {name} --install`, which writes "
                f"{path.parent.name}/{path.name}"
            )
        loop = InnerLoop.load(path, extractor.backbone, name)
        return cls(name, loop.to(extractor.device).requires_grad_(False), extractor)

    def adapt(self, support: Task, *, progress: Progress = silent) -> TunedTaskModel:
        """Learn the support's classes.

        Raises:
            TaskError: all scans come from one group.
            CancelledError: ``progress`` asked to stop.
        """
        members_of(support)
        z = embed(self.extractor.extract(support.scans, progress=part(progress, 0.0, 0.4)))
        maps = self.extractor.maps(support.scans, self.loop.start, progress=part(progress, 0.4, 0.8))
        progress(0.8, "Adapting the network")
        loop = copy.deepcopy(self.loop)  # the inner loop swaps tensors of the module it runs on
        targets = torch.tensor(support.targets, device=self.extractor.device)
        with torch.no_grad(), one_thread():
            network = loop.classifier(len(support.classes))
            rows = loop.rows(maps[:, 0].to(self.extractor.device))
            adapted = loop.adapt(network, rows, targets, create_graph=False)
        network.load_state_dict({**network.state_dict(), **adapted})
        progress(1.0, "Adapted")
        return make_tuned(self.name, support, z, loop.start, network, 1.0, self.extractor)
