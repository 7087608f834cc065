"""A whole training: killed and resumed, stopped early, its history, its best model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_model import ToyModel, toy_bank, toy_builder, toy_draws, toy_set
from train_toy import train

from medmeta.errors import CancelledError, ModelError, TaskError
from medmeta.models import weights
from medmeta.training import checkpoint
from medmeta.training.loop import TrainingReport
from medmeta.training.mixing import Mixing
from medmeta.training.outer import measure
from medmeta.training.trainer import MetaTrainer

MEMORY = 0.01
TRAIN, LEFT_OUT = toy_set("a", 11), toy_set("c", 13)


def fit(out: Path, *, epochs: int = 4, **changes: Any) -> tuple[MetaTrainer, TrainingReport]:
    settings: dict[str, Any] = {"meta_lr": 0.02, "inner_lr": 0.1, "device": "cpu", **changes}
    trainer = MetaTrainer(ToyModel(), 2, **settings)
    report = trainer.fit(
        toy_builder(TRAIN),
        toy_bank(TRAIN, LEFT_OUT),
        epochs=epochs,
        out=out,
        validation=toy_draws(6, LEFT_OUT),
    )
    return trainer, report


def run_killed(out: Path, step: int) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("train_toy.py")), str(out), str(MEMORY), str(step)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_killed_mid_epoch_and_resumed_it_ends_at_the_same_bits(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(whole, MEMORY)
    run_killed(killed, 8)  # three batches an epoch: in the middle of the third
    left = checkpoint.read(killed)
    assert left is not None
    assert left.card["epoch"] == 2
    train(killed, MEMORY)
    ours, theirs = checkpoint.read(killed), checkpoint.read(whole)
    assert ours is not None
    assert theirs is not None
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name, value in theirs.tensors.items():
        assert torch.equal(ours.tensors[name], value), name
    assert any(name.startswith("optimiser/embed/exp_avg") for name in ours.tensors)
    assert ours.card["source"] == theirs.card["source"]
    best = [weights.read(folder / "best.safetensors")[0]["embed"] for folder in (killed, whole)]
    assert torch.equal(*best)
    lines = [_lines(folder) for folder in (killed, whole)]
    for row in (*lines[0], *lines[1]):
        assert row.pop("seconds") > 0
    assert lines[0] == lines[1]
    assert [row["epoch"] for row in lines[0]] == [1, 2, 3, 4, 5]


def test_the_left_out_loss_falls_and_the_best_model_is_the_one_returned(tmp_path: Path) -> None:
    trainer, report = fit(tmp_path, epochs=6)
    rows = _lines(tmp_path)
    assert rows == list(report.history)
    assert rows[-1]["validation_loss"] < rows[0]["validation_loss"]
    assert rows[-1]["seconds"] > rows[0]["seconds"] > 0
    scores = [row["validation_accuracy"] for row in rows]
    assert report.best_accuracy == max(scores)
    assert report.best_epoch == 1 + scores.index(max(scores))
    bank = toy_bank(LEFT_OUT)
    again = measure(trainer.model, [bank.task(task) for task in toy_draws(6, LEFT_OUT)], 0)
    assert again.accuracy == report.best_accuracy
    card = json.loads((tmp_path / "best.json").read_text())
    assert card["epoch"] == report.best_epoch
    assert card["torch"] == torch.__version__
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best.json", "best.safetensors", "checkpoint-000006.json", "checkpoint-000006.safetensors", "history.jsonl"
    ]  # fmt: skip


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    trainer, report = fit(tmp_path)
    again, second = fit(tmp_path)
    assert second == report
    assert torch.equal(again.model.embed, trainer.model.embed)


def test_patience_ends_a_training_that_does_not_get_better(tmp_path: Path) -> None:
    _, report = fit(tmp_path, epochs=20, meta_lr=1e-9, patience=3)
    assert report.stopped_early
    assert report.best_epoch == 1
    assert report.epochs == 4


def test_another_configuration_and_a_set_that_is_left_out_are_refused(tmp_path: Path) -> None:
    fit(tmp_path)
    with pytest.raises(ModelError, match="other settings"):
        fit(tmp_path, weight_decay=0.5)
    with pytest.raises(ModelError, match="other settings"):
        fit(tmp_path, mix=Mixing(interpolation=0.2))
    with pytest.raises(TaskError, match="a is left out for validation"):
        MetaTrainer(ToyModel(), device="cpu").fit(
            toy_builder(TRAIN), toy_bank(TRAIN), epochs=1, out=tmp_path / "x", validation=toy_draws(2, TRAIN)
        )


def test_stopping_by_hand_keeps_the_last_whole_epoch(tmp_path: Path) -> None:
    def stop(fraction: float, message: str) -> None:
        if fraction > 0.6:
            raise CancelledError("stopped")

    trainer = MetaTrainer(ToyModel(), device="cpu")
    with pytest.raises(CancelledError):
        trainer.fit(toy_builder(TRAIN), toy_bank(TRAIN), epochs=4, out=tmp_path, progress=stop)
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert found.card["epoch"] == 2
    assert len(_lines(tmp_path)) == 2


def test_difficulties_reach_the_sampler(tmp_path: Path) -> None:
    fit(tmp_path, epochs=1)
    found = checkpoint.read(tmp_path)
    assert found is not None
    averages = found.card["source"]["sampler"]["averages"]
    assert {(source, ways) for source, ways, _ in averages} == {("a", 2), ("a", 3)}
    assert all(0 < value < 2 and value != 1 for _, _, value in averages)


def test_without_validation_the_last_model_is_kept(tmp_path: Path) -> None:
    trainer = MetaTrainer(ToyModel(), device="cpu", meta_lr=0.02)
    report = trainer.fit(toy_builder(TRAIN), toy_bank(TRAIN), epochs=2, out=tmp_path)
    assert (report.best_epoch, report.best_accuracy, report.stopped_early) == (2, None, False)
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert torch.equal(found.part("model")["embed"], weights.read(tmp_path / "best.safetensors")[0]["embed"])


def test_a_training_of_no_epoch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found 0"):
        fit(tmp_path, epochs=0)


def test_an_epoch_without_a_finite_gradient_is_an_error(tmp_path: Path) -> None:
    model = ToyModel()
    model.embed.data[:] = torch.nan
    with pytest.raises(ModelError, match="finite gradient"):
        MetaTrainer(model, device="cpu").fit(toy_builder(TRAIN), toy_bank(TRAIN), epochs=1, out=tmp_path)


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
