"""Weights and their cards: an altered file is never taken."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from medmeta.errors import ModelError
from medmeta.models import weights
from medmeta.models.backbones import load_backbone, pick_device


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    sha256 = weights.write(path, {"a": torch.arange(6.0).reshape(2, 3)}, {"name": "x"})
    tensors, card = weights.read(path)
    assert torch.equal(tensors["a"], torch.arange(6.0).reshape(2, 3))
    assert card == {"name": "x", "sha256": sha256}


def test_one_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    weights.write(path, {"a": torch.zeros(4)}, {})
    blob = bytearray(path.read_bytes())
    blob[-1] ^= 1
    path.write_bytes(bytes(blob))
    with pytest.raises(ModelError, match="altered or cut short"):
        weights.read(path)


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(pickle.dumps({"a": 1}))
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(ModelError, match="not a model of this program"):
        weights.read(path)


def test_a_missing_file_and_a_missing_backbone_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing or unreadable"):
        weights.read(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="there are: efficientnet_lite0"):
        load_backbone("resnet9000")
    with pytest.raises(ModelError, match="cannot be used here"):
        pick_device("warp")
