"""Which learners there are, and the one place that loads the backbone behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch

from medmeta.errors import ModelError
from medmeta.learners.anchor import anchor
from medmeta.learners.base import Learner, TaskModel
from medmeta.learners.frozen import FrozenTaskModel
from medmeta.learners.logistic import logistic
from medmeta.learners.prototypes import prototypes
from medmeta.learners.ridge import ridge
from medmeta.models import weights
from medmeta.models.backbones import DEFAULT_BACKBONE, load_backbone, pick_device
from medmeta.models.features import FeatureExtractor
from medmeta.models.stack import Stack

#: Learners by name, each made from a shared feature extractor.
LEARNERS: Mapping[str, Callable[[FeatureExtractor], Learner]] = MappingProxyType(
    {"anchor": anchor, "ridge": ridge, "logistic": logistic, "prototypes": prototypes}
)
#: What the pages and the shell use unless told otherwise.
DEFAULT_LEARNER = "anchor"
#: Simple methods every evaluation compares with, on the same folds.
BASELINES = ("prototypes", "logistic", "ridge")


def load_extractor(device: str = "auto", backbone: str = DEFAULT_BACKBONE) -> FeatureExtractor:
    """Load the backbone once; share the result between learners, which then share its remembered features.

    Raises:
        ModelError: weights missing or altered, or no such device.
    """
    return FeatureExtractor(load_backbone(backbone), pick_device(device))


def make_learner(name: str, extractor: FeatureExtractor) -> Learner:
    """The learner of that name (``"default"`` for :data:`DEFAULT_LEARNER`).

    Raises:
        ModelError: no such learner.
    """
    make = LEARNERS.get(DEFAULT_LEARNER if name == "default" else name)
    if make is None:
        raise ModelError(f"no learner is called {name!r}; there are: {', '.join(LEARNERS)}")
    return make(extractor)


def load_task_model(folder: Path, extractor: FeatureExtractor) -> TaskModel:
    """Read what ``TaskModel.save`` wrote.

    Raises:
        ModelError: missing or altered, of another format, or made with another backbone.
    """
    tensors, card = weights.read(folder / "model.safetensors")
    if card.get("format") != "medmeta task model 1":
        raise ModelError(f"{folder.name} holds a model of another format; adapt again with this version")
    if card.get("backbone_sha256") != extractor.backbone.sha256:
        raise ModelError(f"{folder.name} was adapted with another backbone; adapt again with this version")
    try:
        members = tuple((str(a), str(b), str(c)) for a, b, c in card["members"])
        classes = tuple(str(name) for name in card["classes"])
        stack = Stack(*(tensors[key] for key in ("weight", "bias", "temperatures", "shares")))
        support, distance = tensors["support"], float(card["usual_distance"])
        learner = str(card["learner"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder.name} holds an incomplete model; adapt again") from error
    heads = stack.shares.numel()
    fits = stack.weight.shape == (heads, len(classes), extractor.size) and support.shape == (
        len(members),
        extractor.size,
    )
    if not fits or stack.bias.shape != (heads, len(classes)) or support.dtype != torch.float64:
        raise ModelError(f"{folder.name} holds a model whose parts do not fit together; adapt again")
    return FrozenTaskModel(learner, classes, stack, support, members, distance, extractor)
