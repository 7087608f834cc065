"""Data parallel meta-training under ``torchrun``: tasks are split over processes, meta-gradients summed.

Every process draws the same batch (positions are cheap) and takes its share of the tasks; a task's chance depends
on its place in the batch, not on who computes it. So the result is that of one process, up to rounding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Workers:
    """The processes that train together.

    Attributes:
        rank: number of this one; 0 alone writes files and shows progress.
        world: how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, count: int) -> range:
        """Positions of a batch of ``count`` tasks that are this process's."""
        return range(self.rank, count, self.world)

    def total(self, value: Tensor) -> Tensor:
        """Sum of ``value`` over the processes, the same bits everywhere."""
        if self.world == 1:
            return value
        summed = value.clone()
        dist.all_reduce(summed)
        return summed

    def total_all(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A :meth:`total` of each, in a single message; every tensor keeps its dtype."""
        if self.world == 1:
            return dict(values)
        flat = self.total(torch.cat([value.reshape(-1) for value in values.values()]))
        pieces = torch.split(flat, [value.numel() for value in values.values()])
        return {
            name: piece.view_as(value).to(value.dtype)
            for (name, value), piece in zip(values.items(), pieces, strict=True)
        }

    def agree(self, model: nn.Module) -> None:
        """Every process takes over the first one's buffers, so that what one's tasks left in them cannot differ."""
        if self.world > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()


#: One process by itself.
ALONE = Workers()


@contextmanager
def workers(device: str = "auto") -> Iterator[tuple[Workers, str]]:
    """The group that ``torchrun`` describes in the environment, and the device of this process.

    Without ``torchrun`` it is :data:`ALONE` and ``device`` as given. With it, ``auto`` and ``cuda`` mean one GPU a
    process over NCCL where there are GPUs; otherwise the CPU over Gloo. Several machines need one file system
    for the folder a training writes to: every process reads the checkpoint it resumes from.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield ALONE, device
        return
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        device = f"cuda:{int(os.environ['LOCAL_RANK'])}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Workers(dist.get_rank(), dist.get_world_size()), device if on_gpu else "cpu"
    finally:
        dist.destroy_process_group()
