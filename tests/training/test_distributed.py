"""One process and two, really started by torchrun, come to the same weights."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from train_toy import train

from medmeta.models import weights
from medmeta.training.distributed import ALONE, Workers, workers


def test_two_processes_train_the_same_model_as_one(tmp_path: Path) -> None:
    train(tmp_path / "one", 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("train_toy.py")
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    done = subprocess.run(
        [sys.executable, *command, str(script), str(tmp_path / "two"), "0.0", "0"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    one, two = (
        weights.read(next((tmp_path / name).glob("checkpoint*.safetensors"))) for name in ("one", "two")
    )
    assert two[1]["step"] == one[1]["step"] == 15
    torch.testing.assert_close(two[0]["model/embed"], one[0]["model/embed"], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(two[1]["history"], one[1]["history"], strict=True):
        assert abs(ours["query_loss"] - theirs["query_loss"]) < 1e-4
        assert abs(ours["validation_accuracy"] - theirs["validation_accuracy"]) < 0.02
    assert (tmp_path / "two-progress-0").exists()
    assert not (tmp_path / "two-progress-1").exists()


def test_shares_cover_a_batch_once_and_one_process_needs_no_group() -> None:
    shares = [position for rank in range(3) for position in Workers(rank, 3).share(7)]
    assert sorted(shares) == list(range(7))
    assert list(Workers(2, 3).share(2)) == []
    value = torch.ones(2)
    assert ALONE.total(value) is value
    ALONE.wait()


def test_without_torchrun_there_is_one_process() -> None:
    with workers("cpu") as (group, device):
        assert group == ALONE
        assert device == "cpu"
