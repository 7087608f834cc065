"""Which learners there are, and the one place that loads the backbone behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from medmeta.errors import ModelError
from medmeta.learners import cnn_meta, frozen, tuned
from medmeta.learners.anchor import anchor
from medmeta.learners.anil import anil
from medmeta.learners.base import Learner, TaskModel
from medmeta.learners.finetune import finetune
from medmeta.learners.fomaml import fomaml
from medmeta.learners.lda import lda
from medmeta.learners.logistic import logistic
from medmeta.learners.lpft import lpft
from medmeta.learners.maml import maml
from medmeta.learners.medmeta import medmeta
from medmeta.learners.prototypes import prototypes
from medmeta.learners.reptile import reptile
from medmeta.learners.ridge import ridge
from medmeta.learners.trained import trained
from medmeta.models import weights
from medmeta.models.backbones import DEFAULT_BACKBONE, find_card, load_backbone, pick_device
from medmeta.models.features import FeatureExtractor

#: Learners by name, each made from a shared feature extractor.
LEARNERS: Mapping[str, Callable[[FeatureExtractor], Learner]] = MappingProxyType(
    {
        "medmeta": medmeta,
        "anchor": anchor,
        "ridge": ridge,
        "logistic": logistic,
        "prototypes": prototypes,
        "lda": lda,
        "lpft": lpft,
        "finetune": finetune,
        "maml": maml,
        "fomaml": fomaml,
        "anil": anil,
        "reptile": reptile,
    }
)
#: What the pages and the shell use unless told otherwise.
DEFAULT_LEARNER = "medmeta"
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
        raise ModelError(
            f"no learner is called {name!r}; there are: {', '.join(LEARNERS)}, and folders that train wrote"
        )
    return make(extractor)


def find_learner(named: str, extractor: FeatureExtractor) -> Learner:
    """As :func:`make_learner`, or the meta-model in the folder that ``named`` leads to, where `train` wrote one.

    Raises:
        ModelError: no such learner, or no usable meta-model there.
    """
    known = named == "default" or named in LEARNERS
    if not known and Path(named).exists():
        return trained(Path(named), extractor)
    return make_learner(named, extractor)


def load_task_model(folder: Path, extractor: FeatureExtractor) -> TaskModel:
    """Read what ``TaskModel.save`` wrote.

    Raises:
        ModelError: missing or altered, of another format, or made with another backbone.
    """
    tensors, card = weights.read(folder / "model.safetensors")
    if card.get("format") == tuned.FORMAT:
        return tuned.load_tuned(folder, extractor)
    if card.get("format") == cnn_meta.FORMAT:
        return cnn_meta.load_cnn_meta(folder, _standing_on(card, extractor))
    if card.get("format") != frozen.FORMAT:
        raise ModelError(f"{folder.name} holds a model of another format; adapt again with this version")
    return frozen.restore(folder.name, tensors, card, extractor)


def _standing_on(card: Mapping[str, Any], extractor: FeatureExtractor) -> FeatureExtractor:
    """An extractor with the backbone a card names; another one than the shared is loaded for it."""
    name = str(card.get("backbone"))
    if card.get("backbone_sha256") == extractor.backbone.sha256 or name == extractor.backbone.card.name:
        return extractor
    backbone = load_backbone(name, pretrained=find_card(name).weights is not None)
    return FeatureExtractor(backbone, extractor.device)
