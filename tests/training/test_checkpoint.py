"""Checkpoints are whole or not there, and put an optimiser back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from medmeta.errors import ModelError
from medmeta.training import checkpoint
from medmeta.training.checkpoint import Checkpoint


def one(epoch: int) -> Checkpoint:
    return Checkpoint({"model/w": torch.full((2,), float(epoch))}, {"epoch": epoch})


def test_the_latest_is_read_and_the_earlier_one_gone(tmp_path: Path) -> None:
    assert checkpoint.read(tmp_path) is None
    (tmp_path / ".writing-left-by-a-kill").mkdir()
    for epoch in (1, 2, 10):
        checkpoint.write(tmp_path, one(epoch))
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert found.card["epoch"] == 10
    assert found.part("model")["w"].tolist() == [10, 10]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-000010.json",
        "checkpoint-000010.safetensors",
    ]


def test_tensors_without_their_card_do_not_count(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, one(1))
    (tmp_path / "checkpoint-000002.safetensors").write_bytes(b"cut short by a kill")
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert found.card["epoch"] == 1


def test_altered_or_foreign_files_are_refused(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, one(1))
    tensors = tmp_path / "checkpoint-000001.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x00\x01"[:1])
    with pytest.raises(ModelError, match="altered"):
        checkpoint.read(tmp_path)
    checkpoint.write_pair(tmp_path, "checkpoint-000003", {"w": torch.zeros(1)}, {"format": "another"})
    with pytest.raises(ModelError, match="another format"):
        checkpoint.read(tmp_path)


def test_a_restored_optimiser_goes_on_with_the_same_bits() -> None:
    def step(model: nn.Linear, optimiser: torch.optim.Optimizer, value: float) -> None:
        model(torch.full((1, 3), value)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()

    def new() -> tuple[nn.Linear, torch.optim.Optimizer]:
        model = nn.Linear(3, 2)
        return model, torch.optim.AdamW(model.parameters(), lr=0.1)

    model, optimiser = new()
    for value in (1.0, -2.0, 0.5):
        step(model, optimiser, value)
    other, second = new()
    other.load_state_dict(model.state_dict())
    saved = {name: value.clone() for name, value in checkpoint.optimiser_tensors(model, optimiser).items()}
    checkpoint.restore_optimiser(other, second, saved)
    for value in (3.0, 0.1):
        step(model, optimiser, value)
        step(other, second, value)
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(model.bias, other.bias)


def test_the_hash_knows_values_and_not_the_order_of_keys() -> None:
    a = checkpoint.config_hash({"a": 1, "b": {"c": 2, "d": 3}})
    assert a == checkpoint.config_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert a != checkpoint.config_hash({"a": 1, "b": {"c": 2, "d": 4}})
