"""The meta-model on disk: safetensors plus the card that says what it was trained on and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from medmeta.errors import ModelError
from medmeta.models import weights
from medmeta.models.meta_model import MetaModel, Parts

FORMAT = "medmeta meta-model 2"


def write_meta_model(path: Path, model: MetaModel, card: Mapping[str, Any]) -> str:
    """Write ``path`` (``.safetensors``) and its card; returns the SHA-256 of the weights.

    Args:
        card: what is added to the card: training sets and licences, settings, seed, versions, figures, limits.
    """
    about = {
        **card,
        "format": FORMAT,
        "blocks": list(model.blocks),
        "parts": asdict(model.parts),
        "bound": model.hypernetwork.bound,
        "dropout": model.descriptor.dropout,
        "slots": len(model.memory.keys),
        "anchor_l2": model.anchor_l2,
    }
    return weights.write(path, model.state_dict(), about)


def read_meta_model(path: Path) -> tuple[MetaModel, dict[str, Any]]:
    """Read what :func:`write_meta_model` wrote; the model is in eval mode.

    Raises:
        ModelError: missing or altered, or of another format.
    """
    tensors, card = weights.read(path)
    if card.get("format") != FORMAT:
        raise ModelError(f"{path.name} holds no meta-model of this version; train or install it again")
    try:
        model = MetaModel(
            [int(size) for size in card["blocks"]],
            tensors["centre"],
            tensors["basis"],
            tensors["variances"],
            parts=Parts(**{**card["parts"], "off": tuple(card["parts"]["off"])}),
            bound=float(card["bound"]),
            dropout=float(card["dropout"]),
            slots=int(card["slots"]),
            anchor_l2=float(card["anchor_l2"]),
        )
        model.load_state_dict(tensors)
        if not sum(model.blocks) == len(model.centre) == len(model.basis):
            raise ValueError("blocks, centre and basis differ in length")
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path.name} holds an incomplete meta-model; train or install it again") from error
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values() if value.is_floating_point()):
        raise ModelError(f"{path.name} holds numbers that are not finite; train or install it again")
    return model.eval(), card
