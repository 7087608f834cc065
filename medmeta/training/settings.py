"""What a training configuration says besides the model: the tasks and the outer loop.

    {'meta_model': {...}, 'inner_loop': {...},
     'tasks': {'param_space': {'num_classes': [2, 5, 'all'], 'shots': [5]}, 'sampler': 'difficulty'},
     'training': {'epochs': 30, 'left_out': ['blood'], 'interpolation': 0.25}}

Everything left out takes the default of its dataclass below; nothing unknown is passed over in silence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from medmeta.errors import ModelError
from medmeta.models.model_config import MetaConfig, parse_config

SECTIONS = ("meta_model", "inner_loop", "tasks", "training")
Section = TypeVar("Section", "TaskSettings", "TrainingSettings")


@dataclass(frozen=True)
class TaskSettings:
    """What `medmeta.tasks.builder.TaskDistributionBuilder` is given."""

    param_space: dict[str, Any] = field(default_factory=dict)
    num_tasks_per_epoch: int = 400
    tasks_per_batch: int = 4
    shots: int = 5
    queries: int = 15
    sampler: str = "uniform"


@dataclass(frozen=True)
class TrainingSettings:
    """What `medmeta.training.trainer.MetaTrainer` is given.

    Attributes:
        epochs, meta_lr, clip, patience, mixed_precision, gradient_checkpointing: the trainer's.
        left_out: names of data sets kept for validation; without any nothing stops early.
        validation_tasks: fixed tasks drawn from them, of all their classes.
        interpolation: chance that a task is mixed with another one.
        gan_rows: support rows a class that a feature GAN adds; 0 trains none.
        gan_steps: its training.
        text_encoder: of texts and descriptions: ``hashed``, ``minilm``, or empty for none.
    """

    epochs: int = 30
    meta_lr: float = 1e-3
    clip: float = 1.0
    patience: int = 10
    mixed_precision: bool = False
    gradient_checkpointing: bool = False
    left_out: list[str] = field(default_factory=list)
    validation_tasks: int = 100
    interpolation: float = 0.0
    gan_rows: int = 0
    gan_steps: int = 2000
    text_encoder: str = ""


@dataclass(frozen=True)
class Settings:
    """A checked configuration of a training."""

    meta: MetaConfig
    tasks: TaskSettings
    training: TrainingSettings


def read_settings(path: Path) -> Settings:
    """Read a training configuration from a JSON file.

    Raises:
        ModelError: the file is missing or no JSON, or holds an unknown key or a value of another kind; the text
            names the file, the key, and what is allowed.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} is missing or unreadable; give a JSON file") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON in UTF-8: {error}") from error
    try:
        if not isinstance(found, dict) or set(found) - set(SECTIONS):
            raise ModelError(f"expected a mapping with the keys {', '.join(SECTIONS)}")
        settings = Settings(
            parse_config({key: found[key] for key in SECTIONS[:2] if key in found}),
            _section(TaskSettings, "tasks", found.get("tasks", {})),
            _section(TrainingSettings, "training", found.get("training", {})),
        )
        _check_ranges(settings)
        return settings
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


#: What a value must not be below, and whether it may be equal; all must be finite.
_LEAST: dict[str, tuple[float, bool]] = {
    "num_tasks_per_epoch": (1, True),
    "tasks_per_batch": (1, True),
    "shots": (1, True),
    "queries": (1, True),
    "epochs": (1, True),
    "meta_lr": (0, False),
    "clip": (0, False),
    "patience": (1, True),
    "validation_tasks": (1, True),
    "interpolation": (0, True),
    "gan_rows": (0, True),
    "gan_steps": (1, True),
}


def _check_ranges(settings: Settings) -> None:
    for name, part in (("tasks", settings.tasks), ("training", settings.training)):
        for key, value in vars(part).items():
            least, equal = _LEAST.get(key, (-math.inf, True))
            if isinstance(value, int | float) and not (
                math.isfinite(value) and (value > least or (equal and value == least))
            ):
                raise ModelError(
                    f"{name}.{key} must be {'at least' if equal else 'above'} {least:g}, found {value}"
                )
    if settings.training.interpolation > 1:
        raise ModelError(
            f"training.interpolation is a chance, at most 1; found {settings.training.interpolation}"
        )
    if odd := [name for name in settings.training.left_out if not isinstance(name, str)]:
        raise ModelError(f"training.left_out holds names of data sets, found {odd[0]!r}")


def _section(kind: type[Section], name: str, found: Any) -> Section:
    """A section, each value of its default's kind."""
    default = kind()
    known = [each.name for each in fields(kind)]
    if not isinstance(found, Mapping) or set(found) - set(known):
        raise ModelError(f"{name} must be a mapping with the keys {', '.join(known)}; found {found!r}")
    for key, value in found.items():
        expected = type(getattr(default, key))
        whole_for_number = expected is float and type(value) is int
        if type(value) is not expected and not whole_for_number:
            raise ModelError(f"{name}.{key} must be of the kind {expected.__name__}, found {value!r}")
    return kind(**found)
