"""Weights travel as safetensors with a JSON card of the same name; nothing here can run code from a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from medmeta.errors import ModelError


def write(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> str:
    """Write ``path`` (``.safetensors``) and its card beside it (``.json``, with the file's SHA-256).

    Returns:
        the SHA-256 of the weights file, in hex.
    """
    blob = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    sha256 = hashlib.sha256(blob).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)
    text = json.dumps({**card, "sha256": sha256}, indent=1, ensure_ascii=False, allow_nan=False)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    return sha256


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read weights and card.

    Raises:
        ModelError: a file is missing or unreadable, or the weights differ from the card's SHA-256.
    """
    try:
        blob = path.read_bytes()
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        tensors = load(blob)
    except OSError as error:
        raise ModelError(f"{error.filename} is missing or unreadable; adapt again or reinstall") from error
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path.name} or its card is not a model of this program; adapt again") from error
    if not isinstance(card, dict) or card.get("sha256") != hashlib.sha256(blob).hexdigest():
        raise ModelError(f"{path.name} is not the file its card describes; it was altered or cut short")
    return tensors, card


def load_into(network: nn.Module, path: Path) -> str:
    """Load weights into a network of the same layout; returns their SHA-256.

    Raises:
        ModelError: as :func:`read`, or the tensors do not fit the network.
    """
    tensors, card = read(path)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"{path.name} does not fit {type(network).__name__}") from error
    return str(card["sha256"])
