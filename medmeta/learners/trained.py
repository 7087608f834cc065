"""A meta-model that `python -m medmeta train` wrote, as a learner."""

from __future__ import annotations

from pathlib import Path

from medmeta.errors import ModelError
from medmeta.learners.cnn_meta import CnnMetaLearner
from medmeta.models import weights
from medmeta.models.backbones import load_backbone
from medmeta.models.cnn_meta import CnnMetaModel
from medmeta.models.features import FeatureExtractor
from medmeta.models.model_config import parse_config

#: The file in the folder of a training.
TRAINED_FILE = "meta-model.safetensors"


def trained(place: Path, extractor: FeatureExtractor) -> CnnMetaLearner:
    """The learner, called after its folder and the first digits of its weights' hash.

    Args:
        place: folder of a training, or the file in it.
        extractor: used where the meta-model stands on its backbone; else the one it stands on is loaded.

    Raises:
        ModelError: no meta-model, an altered one or one of another format; or its backbone cannot be loaded.
    """
    path = place / TRAINED_FILE if place.is_dir() else place
    if not path.is_file():
        raise ModelError(f"{place} holds no {TRAINED_FILE}; it is written when a training has ended")
    card = weights.read(path)[1]
    chosen = parse_config(card.get("config", {})).meta_model
    backbone = extractor.backbone
    if not chosen.pretrained or chosen.backbone != backbone.card.name:
        backbone = load_backbone(chosen.backbone, pretrained=chosen.pretrained, seed=chosen.seed)
        extractor = FeatureExtractor(backbone, extractor.device)
    model = CnnMetaModel.load(path, backbone)
    return CnnMetaLearner(f"{path.resolve().parent.name} ({card['sha256'][:8]})", model, extractor)
