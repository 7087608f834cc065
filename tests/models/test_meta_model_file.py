"""A meta-model on disk: the same answers afterwards, and no altered, foreign or broken file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic_tasks import ALL_PARTS, disturbed, meta_model, task

from medmeta.errors import ModelError
from medmeta.models import weights
from medmeta.models.meta_model import MetaModel
from medmeta.models.meta_model_file import read_meta_model, write_meta_model

PARTS = replace(ALL_PARTS, steps=3, text=False)


@pytest.fixture
def model() -> MetaModel:
    """With a task in its memory."""
    made = disturbed(meta_model(PARTS, anchor_l2=0.7, bound=0.9, dropout=0.4))
    made.train().episode(task(made, source="b"), torch.Generator().manual_seed(0))
    return made.eval()


@pytest.fixture
def path(model: MetaModel, tmp_path: Path) -> Path:
    write_meta_model(tmp_path / "meta.safetensors", model, {"trained_on": ["a", "b"], "format": "not this"})
    return tmp_path / "meta.safetensors"


def edit_card(path: Path, **changes: Any) -> None:
    card = path.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), **changes}))


def test_it_comes_back_whole(model: MetaModel, path: Path) -> None:
    again, card = read_meta_model(path)
    assert card["trained_on"] == ["a", "b"]
    assert again.parts == PARTS
    assert (again.anchor_l2, again.hypernetwork.bound, again.descriptor.dropout) == (0.7, 0.9, 0.4)
    assert again.blocks == model.blocks
    assert not any(module.training for module in again.modules())
    state = again.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    found = task(model, 3, source="c")
    for key in ("weight", "bias", "temperatures", "shares"):
        assert torch.equal(getattr(again.adapt(found), key), getattr(model.adapt(found), key))


def test_writing_says_what_was_written(model: MetaModel, tmp_path: Path) -> None:
    first = write_meta_model(tmp_path / "one.safetensors", model, {})
    assert first == write_meta_model(tmp_path / "two.safetensors", model, {})
    assert json.loads((tmp_path / "one.json").read_text())["sha256"] == first


def test_an_altered_file_is_refused(path: Path) -> None:
    blob = bytearray(path.read_bytes())
    blob[-5] ^= 1
    path.write_bytes(bytes(blob))
    with pytest.raises(ModelError, match="altered"):
        read_meta_model(path)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    weights.write(tmp_path / "other.safetensors", {"weight": torch.zeros(2)}, {"format": "something else"})
    with pytest.raises(ModelError, match="no meta-model of this version"):
        read_meta_model(tmp_path / "other.safetensors")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.safetensors"):
        read_meta_model(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(model: MetaModel, tmp_path: Path, value: float) -> None:
    with torch.no_grad():
        model.hypernetwork.out.weight[0, 0] = value
    write_meta_model(tmp_path / "nan.safetensors", model, {})
    with pytest.raises(ModelError, match="not finite"):
        read_meta_model(tmp_path / "nan.safetensors")


@pytest.mark.parametrize(
    "changes",
    [
        {"blocks": [9, 6]},
        {"blocks": [7, 6, 1]},
        {"blocks": "many"},
        {"blocks": None},
        {"parts": {"magic": True}},
        {"parts": []},
        {"slots": 7},
        {"bound": "wide"},
    ],
)
def test_a_card_that_does_not_fit_its_weights_is_refused(path: Path, changes: dict[str, Any]) -> None:
    edit_card(path, **changes)
    with pytest.raises(ModelError, match="incomplete"):
        read_meta_model(path)


@pytest.mark.parametrize("name", ["centre", "basis", "start", "memory.keys"])
@pytest.mark.parametrize("gone", [True, False])
def test_tensors_missing_or_of_another_shape_are_refused(
    model: MetaModel, path: Path, name: str, gone: bool
) -> None:
    tensors, card = weights.read(path)
    value = tensors.pop(name)
    weights.write(path, tensors if gone else {**tensors, name: value.flatten()[:-1].clone()}, card)
    with pytest.raises(ModelError, match="incomplete"):
        read_meta_model(path)
