"""Work on a CPU is spread over scans, not inside one small operation.

A network this small gains little from several threads an operation, and loses everything to their waiting for
each other when the machine is busy. One thread each for as many scans as there are cores is quicker and steady.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Within the block, an operation uses one core.

    PyTorch keeps this number for the whole process: what other threads compute meanwhile runs on one core each too.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
