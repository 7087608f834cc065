"""The cards of the shipped weights behind a learner: what they were trained on, under which licence, their hash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medmeta.models.backbones import ASSETS

_EVERYONE = ("efficientnet_lite0",)
_OWN = {"medmeta": ("medical_lite0", "medmeta")}


def weight_lines(learner: str) -> list[str]:
    """Name and hash of each of them, for what is saved."""
    return [f"{name} {card.get('sha256', '')}".strip() for name, card in weight_cards(learner).items()]


def weight_cards(learner: str, folder: Path = ASSETS) -> dict[str, dict[str, Any]]:
    """Card by name of weights, the trunk first; a learner without weights of its own has the trunk's alone."""
    found = {}
    for name in (*_EVERYONE, *_OWN.get(learner, (learner,))):
        path = folder / f"{name}.json"
        if path.is_file():
            found[name] = dict(json.loads(path.read_text(encoding="utf-8")))
    return found
