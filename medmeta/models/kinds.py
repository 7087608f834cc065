"""What the shipped model was trained on, as mean feature vectors of its training classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medmeta.errors import ModelError
from medmeta.models import weights
from medmeta.models.backbones import ASSETS
from medmeta.scans.strangers import Kinds

SHIPPED_KINDS = ASSETS / "kinds.safetensors"


def load_kinds(path: Path = SHIPPED_KINDS) -> Kinds:
    """Read what `benchmarks.strangers` wrote.

    Raises:
        ModelError: missing, altered, or its card names another number of classes.
    """
    tensors, card = weights.read(path)
    names = tuple(str(name) for name in card.get("kinds", ()))
    means = tensors.get("means")
    if means is None or len(means) != len(names):
        raise ModelError(f"{path.name} or its card does not say what the model was trained on; reinstall")
    return Kinds(names, means.numpy().astype(np.float32))
