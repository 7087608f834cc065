"""What a meta-model is made of, as a config says it: backbone, dynamic layers, inner loop.

    {'meta_model': {'type': 'cnn_meta', 'backbone': 'resnet34', 'dynamic_layers': ['conv3', 'fc']},
     'inner_loop': {'optimizer': 'AdamW', 'max_steps': 8}}

Everything left out takes the default of its dataclass below; nothing unknown is passed over in silence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from medmeta.errors import ModelError
from medmeta.models.backbones import DEFAULT_BACKBONE, find_card

#: What each type of meta-model stands on; None: the config names the backbone.
TYPES: Mapping[str, str | None] = MappingProxyType(
    {
        "cnn_meta": None,
        "resnet18_meta": "resnet18",
        "resnet34_meta": "resnet34",
        "default": DEFAULT_BACKBONE,
    }
)
#: The dynamic layer that is no stage of the backbone: the head.
HEAD = "fc"
OPTIMIZERS = ("AdamW",)
MAX_STEPS = 8


@dataclass(frozen=True)
class MetaModelConfig:
    """The meta-model.

    Attributes:
        type: one of :data:`TYPES`.
        backbone: name in `backbones.CARDS`.
        dynamic_layers: stages of the backbone, and ``fc``, whose parameters are generated for each task.
        rank: of the generated low-rank deltas, at least 1.
        film_bound: largest size of a generated gain or offset, above 0.
        dropout: share of what the hypernetwork reads that is dropped in meta-training, in [0, 1).
        weight_decay: L2 on the meta-parameters, at least 0.
        memory: slots for past tasks; 0 means no memory.
        text: whether descriptions are read.
        pretrained: whether the backbone starts from published weights.
        seed: of every random start.
    """

    type: str = "default"
    backbone: str = DEFAULT_BACKBONE
    dynamic_layers: tuple[str, ...] = (HEAD,)
    rank: int = 4
    film_bound: float = 0.5
    dropout: float = 0.1
    weight_decay: float = 1e-4
    memory: int = 0
    text: bool = False
    pretrained: bool = True
    seed: int = 0

    @property
    def dynamic_stages(self) -> tuple[str, ...]:
        """The dynamic layers that are stages of the backbone."""
        return tuple(name for name in self.dynamic_layers if name != HEAD)


@dataclass(frozen=True)
class InnerLoopConfig:
    """The inner loop.

    Attributes:
        optimizer: ``AdamW`` (Loshchilov and Hutter 2019, arXiv:1711.05101).
        max_steps: most steps on a task, 0 to 8.
        lr: step size, above 0.
        anchor_l2: weight of the squared distance to the generated start, at least 0.
    """

    optimizer: str = "AdamW"
    max_steps: int = MAX_STEPS
    lr: float = 1e-2
    anchor_l2: float = 1e-2


@dataclass(frozen=True)
class MetaConfig:
    """A checked config."""

    meta_model: MetaModelConfig
    inner_loop: InnerLoopConfig

    def to_dict(self) -> dict[str, Any]:
        """As a mapping fit for JSON; :func:`parse_config` makes an equal config of it."""
        found = asdict(self)
        found["meta_model"]["dynamic_layers"] = list(self.meta_model.dynamic_layers)
        return found


def read_config(path: Path) -> MetaConfig:
    """Read a config from a JSON file.

    Raises:
        ModelError: the file is missing or no JSON, or as :func:`parse_config`; the file is named.
    """
    try:
        return parse_config(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ModelError(f"{path} is missing or unreadable; give a JSON file") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON in UTF-8: {error}") from error


def parse_config(config: Mapping[str, Any]) -> MetaConfig:
    """Check a config and fill in what it leaves out.

    Raises:
        ModelError: an unknown key, type, backbone, stage or optimizer, or a value outside its range; the text
            lists what is allowed.
    """
    whole = _section("the config", config, ("meta_model", "inner_loop"))
    meta = _section("meta_model", whole.get("meta_model", {}), [f.name for f in fields(MetaModelConfig)])
    inner = _section("inner_loop", whole.get("inner_loop", {}), [f.name for f in fields(InnerLoopConfig)])
    return MetaConfig(_meta_model(meta), _inner_loop(inner))


def _meta_model(given: Mapping[str, Any]) -> MetaModelConfig:
    default = MetaModelConfig()
    kind = _choice("meta_model.type", given.get("type", default.type), TYPES)
    backbone = given.get("backbone", TYPES[kind])
    if backbone is None:
        raise ModelError("meta_model.type 'cnn_meta' needs a meta_model.backbone")
    if not isinstance(backbone, str) or backbone != (TYPES[kind] or backbone):
        raise ModelError(
            f"meta_model.type {kind!r} stands on {TYPES[kind] or 'a backbone by name'}, found {backbone!r}; "
            "use 'cnn_meta' to name another backbone"
        )
    card = find_card(backbone)
    layers = given.get("dynamic_layers", default.dynamic_layers)
    if not isinstance(layers, list | tuple):
        raise ModelError(f"meta_model.dynamic_layers must be a list of names, found {layers!r}")
    allowed = (*card.stage_names, HEAD)
    for name in layers:
        _choice(f"meta_model.dynamic_layers for {backbone}", name, allowed)
    if len(set(layers)) < len(layers):
        raise ModelError(f"meta_model.dynamic_layers names a layer twice: {', '.join(layers)}")
    pretrained = _flag("meta_model.pretrained", given.get("pretrained", card.weights is not None))
    if pretrained and card.weights is None:
        raise ModelError(
            f"meta_model.pretrained must be false for {backbone}, which has no published weights"
        )

    def number(key: str, least: float, most: float = math.inf, *, above: bool = False) -> float:
        value = given.get(key, getattr(default, key))
        return _number(f"meta_model.{key}", value, least, most, above=above)

    dropout = number("dropout", 0.0, 1.0)
    if dropout == 1.0:
        raise ModelError("meta_model.dropout must lie below 1, found 1")
    return MetaModelConfig(
        type=kind,
        backbone=backbone,
        dynamic_layers=tuple(layers),
        rank=_whole("meta_model.rank", given.get("rank", default.rank), 1),
        film_bound=number("film_bound", 0.0, above=True),
        dropout=dropout,
        weight_decay=number("weight_decay", 0.0),
        memory=_whole("meta_model.memory", given.get("memory", default.memory), 0),
        text=_flag("meta_model.text", given.get("text", default.text)),
        pretrained=pretrained,
        seed=_whole("meta_model.seed", given.get("seed", default.seed), 0),
    )


def _inner_loop(given: Mapping[str, Any]) -> InnerLoopConfig:
    default = InnerLoopConfig()
    return InnerLoopConfig(
        optimizer=_choice("inner_loop.optimizer", given.get("optimizer", default.optimizer), OPTIMIZERS),
        max_steps=_whole("inner_loop.max_steps", given.get("max_steps", default.max_steps), 0, MAX_STEPS),
        lr=_number("inner_loop.lr", given.get("lr", default.lr), 0.0, above=True),
        anchor_l2=_number("inner_loop.anchor_l2", given.get("anchor_l2", default.anchor_l2), 0.0),
    )


def _section(name: str, found: Any, keys: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise ModelError(f"{name} must be a mapping with the keys {', '.join(keys)}; found {found!r}")
    unknown = [key for key in found if key not in keys]
    if unknown:
        raise ModelError(f"{name} has no key {unknown[0]!r}; there are: {', '.join(keys)}")
    return found


def _choice(name: str, found: Any, allowed: Collection[str]) -> str:
    if not isinstance(found, str) or found not in allowed:
        raise ModelError(f"{name}: {found!r} is not known; there are: {', '.join(allowed)}")
    return found


def _flag(name: str, found: Any) -> bool:
    if not isinstance(found, bool):
        raise ModelError(f"{name} must be true or false, found {found!r}")
    return found


def _whole(name: str, found: Any, least: int, most: float = math.inf) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise ModelError(f"{name} must be a whole number {_span(least, most)}, found {found!r}")
    return found


def _number(name: str, found: Any, least: float, most: float = math.inf, *, above: bool = False) -> float:
    good = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    if not good or not least <= found <= most or (above and found == least):
        raise ModelError(
            f"{name} must be a number {f'above {least}' if above else _span(least, most)}, found {found!r}"
        )
    return float(found)


def _span(least: float, most: float) -> str:
    return f"of at least {least}" if most == math.inf else f"from {least} to {most}"
