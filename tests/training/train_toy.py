"""A toy training as a process of its own: ``train_toy.py FOLDER MEMORY KILL_AT`` dies by SIGKILL at that step.

MEMORY is how much a task is changed by the tasks before it, KILL_AT 0 stands for never.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from toy_model import ToyModel, toy_bank, toy_builder, toy_draws, toy_set

from medmeta.training.distributed import workers
from medmeta.training.mixing import Mixing
from medmeta.training.trainer import MetaTrainer


def train(out: Path, memory: float, kill_at: int = 0) -> None:
    def watch(fraction: float, message: str) -> None:
        if kill_at and trainer.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        with (out.parent / f"{out.name}-progress-{group.rank}").open("a") as file:
            file.write(f"{fraction:.4f} {message}\n")

    torch.set_num_threads(1)
    train_sets, left_out = (toy_set("a", 11), toy_set("b", 12)), toy_set("c", 13)
    with workers("cpu") as (group, device):
        trainer = MetaTrainer(
            ToyModel(dropout=0.1, memory=memory),
            2, 0.02, 0.1,
            mix=Mixing(interpolation=0.3), patience=50, seed=1, device=device, workers=group,
        )  # fmt: skip
        trainer.fit(
            toy_builder(*train_sets),
            toy_bank(*train_sets, left_out),
            epochs=5,
            out=out,
            validation=toy_draws(6, left_out),
            progress=watch,
        )


if __name__ == "__main__":
    train(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
