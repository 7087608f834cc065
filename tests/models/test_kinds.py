"""What the shipped model was trained on: whole, of length 1, and nothing that was altered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from medmeta.errors import ModelError
from medmeta.models.backbones import ASSETS, load_backbone
from medmeta.models.kinds import SHIPPED_KINDS, load_kinds
from medmeta.scans.strangers import is_new


def test_the_shipped_kinds_are_those_of_the_model() -> None:
    kinds = load_kinds()
    card = json.loads(SHIPPED_KINDS.with_suffix(".json").read_text())
    model = json.loads((ASSETS / "medmeta.json").read_text())
    backbone = load_backbone("efficientnet_lite0")
    assert set(card["training_sets"]) == set(model["training_sets"])
    assert card["backbone_sha256"] == backbone.sha256
    assert kinds.means.shape == (len(kinds.names), backbone.card.features) == (29, 1280)
    assert np.linalg.norm(kinds.means, axis=1) == pytest.approx(1.0, abs=1e-3)  # kept in half precision
    assert not is_new(kinds.means, kinds)
    assert is_new(np.eye(1280, dtype=np.float32)[:20], kinds)


def test_an_altered_file_or_card_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / SHIPPED_KINDS.name
    shutil.copy(SHIPPED_KINDS, copy)
    with pytest.raises(ModelError, match=r"kinds\.json is missing"):
        load_kinds(copy)
    card = json.loads(SHIPPED_KINDS.with_suffix(".json").read_text())
    copy.with_suffix(".json").write_text(json.dumps({**card, "kinds": card["kinds"][1:]}))
    with pytest.raises(ModelError, match="does not say what the model was trained on"):
        load_kinds(copy)
    copy.write_bytes(copy.read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelError, match="altered"):
        load_kinds(copy)
