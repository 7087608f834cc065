"""The deep meta-model as a learner: FiLM in the network's dynamic stages, then the stack of heads above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from medmeta.errors import ModelError
from medmeta.learners.base import Prediction
from medmeta.learners.frozen import card_of, embed, judged, members_of, usual_distance
from medmeta.learners.medmeta import feature_task
from medmeta.models import feature_space, weights
from medmeta.models.cnn_meta import CnnMetaModel
from medmeta.models.features import FeatureExtractor
from medmeta.models.stack import Stack
from medmeta.models.staged import Film
from medmeta.models.threads import one_thread
from medmeta.progress import Progress, part, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.task import Task

FORMAT = "medmeta deep task model 3"
#: Scans whose maps are held at a time.
BUNDLE = 32
STACK = ("weight", "bias", "temperatures", "shares")


@dataclass(frozen=True, eq=False)
class CnnMetaTaskModel:
    """FiLM and heads of this task's own, with the support's frozen features beside them.

    Attributes:
        learner: name of the learner that made it.
        classes: C label names.
        film: gain and offset after each dynamic stage, in the order of computation; maybe of none.
        blocks: lengths of the blocks of the heads' features.
        centre: ``(D,)`` float64 of the heads' features.
        stack: the fitted heads.
        support: ``(n, D)`` float64 unit-length frozen features.
        members: (scan id, file, label) of each support scan.
        usual_distance: median distance of a support scan to the nearest one of another group.
        extractor: shared; never changed.
    """

    learner: str
    classes: tuple[str, ...]
    film: Mapping[str, Film]
    blocks: tuple[int, ...]
    centre: Tensor
    stack: Stack
    support: Tensor
    members: tuple[tuple[str, str, str], ...]
    usual_distance: float
    extractor: FeatureExtractor

    def predict(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Prediction:
        """Predict scans; nothing is changed, and a scan alone gets the answer it gets in a batch."""
        frozen = self.extractor.extract(scans, progress=part(progress, 0.0, 0.4))
        bent = self._bent(scans, part(progress, 0.4, 1.0)) if self.film else frozen
        z = feature_space.embed(bent, self.blocks, self.centre)
        chances = self.stack.probabilities(z).numpy()
        return judged(self.classes, chances, embed(frozen), self.support, self.members, self.usual_distance)

    @torch.no_grad()
    def _bent(self, scans: Sequence[Scan], progress: Progress) -> Tensor:
        """Features ``(n, D)`` of the bent trunk, averaged over views."""
        start, device = next(iter(self.film)), self.extractor.device
        film = {name: (g.to(device).float(), o.to(device).float()) for name, (g, o) in self.film.items()}
        rows = []
        with one_thread():
            for first in range(0, len(scans), BUNDLE):
                some = scans[first : first + BUNDLE]
                shares = (done / len(scans) for done in (first, first + len(some)))
                maps = self.extractor.maps(some, start, progress=part(progress, *shares))
                # One scan a pass: a larger batch may sum in another order.
                for views in maps:
                    found = self.extractor.trunk.run(views.to(device).float(), start=start, film=film)
                    rows.append(found.mean(dim=0).cpu())
        return torch.stack(rows) if rows else torch.empty(0, sum(self.blocks))

    def save(self, folder: Path | str) -> None:
        """Write ``model.safetensors`` and its card ``model.json`` into ``folder``."""
        film = {f"film.{name}": torch.stack(both) for name, both in self.film.items()}
        stack = {f"stack.{name}": getattr(self.stack, name) for name in STACK}
        weights.write(
            Path(folder) / "model.safetensors",
            {**film, **stack, "centre": self.centre, "support": self.support},
            {
                "format": FORMAT,
                "stages": list(self.film),
                "blocks": list(self.blocks),
                **card_of(self.learner, self.classes, self.members, self.usual_distance, self.extractor),
            },
        )


def load_cnn_meta(folder: Path, extractor: FeatureExtractor) -> CnnMetaTaskModel:
    """Read what :meth:`CnnMetaTaskModel.save` wrote.

    Raises:
        ModelError: missing or altered, of another format, or made with another backbone.
    """
    tensors, card = weights.read(folder / "model.safetensors")
    if card.get("format") != FORMAT:
        raise ModelError(f"{folder.name} holds a model of another format; adapt again with this version")
    if card.get("backbone_sha256") != extractor.backbone.sha256:
        raise ModelError(f"{folder.name} was adapted with another backbone; adapt again with this version")
    try:
        members = tuple((str(a), str(b), str(c)) for a, b, c in card["members"])
        classes, blocks = tuple(map(str, card["classes"])), tuple(map(int, card["blocks"]))
        film = {
            str(name): (tensors[f"film.{name}"][0], tensors[f"film.{name}"][1]) for name in card["stages"]
        }
        stack = Stack(*(tensors[f"stack.{name}"] for name in STACK))
        centre, support = tensors["centre"], tensors["support"]
        learner, distance = str(card["learner"]), float(card["usual_distance"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"{folder.name} holds an incomplete model; adapt again") from error
    channels = extractor.trunk.stage_channels
    fits = all(gain.shape == (channels.get(name, -1),) for name, (gain, _) in film.items())
    fits = fits and sum(blocks) == extractor.size and centre.shape == (extractor.size,)
    fits = fits and stack.weight.shape == (stack.shares.numel(), len(classes), extractor.size)
    fits = fits and stack.bias.shape == stack.weight.shape[:2]
    if not fits or support.shape != (len(members), extractor.size) or support.dtype != torch.float64:
        raise ModelError(f"{folder.name} holds a model whose parts do not fit together; adapt again")
    return CnnMetaTaskModel(
        learner, classes, film, blocks, centre, stack, support, members, distance, extractor
    )


@dataclass(frozen=True, eq=False)
class CnnMetaLearner:
    """Adapts the deep meta-model to a support set.

    Attributes:
        name: registry name.
        model: in eval mode, of the extractor's backbone; never changed.
        extractor: shared feature extractor.

    Raises:
        ModelError: the model stands on another backbone.
    """

    name: str
    model: CnnMetaModel
    extractor: FeatureExtractor

    def __post_init__(self) -> None:
        if self.model.sha256 != self.extractor.backbone.sha256:
            raise ModelError(
                f"{self.name} was meta-trained on another backbone than {self.extractor.backbone.card.name} "
                "as it is here; use the backbone its card names"
            )

    @property
    def weights(self) -> tuple[str, ...]:
        """What it stands on, for the record; its name holds the hash of its own."""
        backbone = self.extractor.backbone
        return f"{backbone.card.name} {backbone.sha256}", self.name

    def adapt(self, support: Task, *, progress: Progress = silent) -> CnnMetaTaskModel:
        """Learn the support's classes.

        Raises:
            TaskError: all scans come from one group, so nothing can be left out to judge by.
            CancelledError: ``progress`` asked to stop.
        """
        members = members_of(support)
        rows = features = self.extractor.extract(support.scans, progress=part(progress, 0.0, 0.4))
        if self.model.start is not None:
            told = part(progress, 0.4, 0.8)
            rows = self.extractor.maps(support.scans, self.model.start, progress=told).flatten(1)
        progress(0.8, "Adapting the network")
        z = embed(features)
        with one_thread(), torch.no_grad():
            adapted = self.model.adapt(replace(feature_task(support, z), support=rows, query=rows[:0]))
            film = self.model.film(adapted.vector) if self.model.start is not None else {}
        distance = usual_distance(z, support.groups)
        progress(1.0, "Adapted")
        return CnnMetaTaskModel(
            self.name,
            support.classes,
            film,
            self.model.core.blocks,
            self.model.core.centre,
            adapted.stack,
            z,
            members,
            distance,
            self.extractor,
        )
