"""Checkpoints: all that a training needs to go on after a kill as if nothing had happened.

Tensors lie in ``checkpoint-<epoch>.safetensors``, the rest in the JSON card beside it. Each file is written aside
and renamed; the card comes last and names the tensors' SHA-256, so a pair is either whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medmeta import __version__
from medmeta.errors import ModelError
from medmeta.models import weights

FORMAT = "medmeta training checkpoint 1"
_ASIDE = ".writing-"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training at the end of an epoch.

    Attributes:
        tensors: the model's state and the optimiser's moments.
        card: everything else, JSON.
    """

    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors under ``<name>/``, by the rest of their names."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)
        }


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the one before it goes once this one is whole."""
    name = f"checkpoint-{checkpoint.card['epoch']:06d}"
    write_pair(folder, name, checkpoint.tensors, {**checkpoint.card, "format": FORMAT, **versions()})
    for path in folder.glob("checkpoint-*"):
        if path.stem < name:
            path.unlink()
    for path in folder.glob(f"{_ASIDE}*"):  # left by a kill
        shutil.rmtree(path, ignore_errors=True)


def versions() -> dict[str, str]:
    """What a saved training was made with."""
    return {"medmeta": __version__, "torch": str(torch.__version__), "python": platform.python_version()}


def read(folder: Path) -> Checkpoint | None:
    """The latest whole checkpoint, or None when there is none.

    Raises:
        ModelError: it was altered, or is of another format.
    """
    found = max(folder.glob("checkpoint-*.json"), default=None)
    if found is None:
        return None
    tensors, card = weights.read(found.with_suffix(".safetensors"))
    if card.get("format") != FORMAT:
        raise ModelError(f"{found.name} is a checkpoint of another format; train into another folder")
    return Checkpoint(tensors, card)


def write_pair(folder: Path, name: str, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write ``<name>.safetensors`` and ``<name>.json``, each appearing whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_ASIDE, dir=folder) as aside:
        path = Path(aside) / f"{name}.safetensors"
        weights.write(path, tensors, card)
        for written in (path, path.with_suffix(".json")):
            _publish(written, folder / written.name)


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON lines, the file appearing whole."""
    with tempfile.TemporaryDirectory(prefix=_ASIDE, dir=path.parent) as aside:
        written = Path(aside) / path.name
        written.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows), encoding="utf-8")
        _publish(written, path)


def _publish(written: Path, path: Path) -> None:
    with written.open("rb") as file:
        os.fsync(file.fileno())  # a rename must not outlive a power cut that its content does not
    written.replace(path)


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON configuration, whatever the order of its keys."""
    text = json.dumps(config, sort_keys=True, allow_nan=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's moments and step counts, as ``<parameter>/<moment>``."""
    return {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def restore_optimiser(
    model: nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Put back what :func:`optimiser_tensors` gave."""
    parameters = dict(model.named_parameters())
    for key, value in tensors.items():
        name, moment = key.rsplit("/", 1)
        parameter = parameters[name]
        # Step counts stay where the optimiser keeps them; moments lie beside their parameter.
        placed = value if moment == "step" else value.to(parameter.device)
        optimiser.state[parameter][moment] = placed
