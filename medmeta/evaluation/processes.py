"""The same work on many items, spread over forked processes that inherit what they work on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

import torch

from medmeta.errors import MedMetaError
from medmeta.models.threads import one_thread

#: Threads of this process, one folder each, and seconds without a change after which none is ending.
_THREADS, _SETTLED = Path("/proc/self/task"), 0.01

Item = TypeVar("Item")
Found = TypeVar("Found")


def usable_jobs(jobs: int | None) -> int:
    """How many processes `spread` may use: ``jobs``, by default one a core, and 1 where forking is unsafe.

    Outside Linux system libraries break in a forked process, and CUDA does everywhere once it was used.
    """
    if sys.platform != "linux" or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return 1
    return len(os.sched_getaffinity(0)) if jobs is None else max(1, jobs)


def spread(work: Callable[[Item], Found], items: Sequence[Item], jobs: int) -> Iterator[Found]:
    """``work`` of each item, in order, on one thread each; the results do not depend on ``jobs``.

    With more than one job the processes are forked, so ``work`` and all it holds (scans, features, networks) is
    neither copied nor pickled; items and results are pickled and ought to be small.

    Raises:
        MedMetaError: what ``work`` raised, or that a process was ended from outside.
    """
    if jobs == 1 or len(items) < 2:
        with one_thread():
            for item in items:
                yield work(item)
        return
    _let_threads_end()
    with ProcessPoolExecutor(
        min(jobs, len(items)), multiprocessing.get_context("fork"), initializer=_start, initargs=(work,)
    ) as pool:
        try:
            yield from pool.map(_call, items)
        except BrokenProcessPool as error:
            raise MedMetaError(
                "a process was ended from outside, as a system does that runs out of memory; use fewer jobs"
            ) from error


def _let_threads_end() -> None:
    """Wait until no thread is just ending: Python calls it joined while it still gives its memory back.

    Forked in that moment, a process inherits MKL's store of memory with the lock held, and waits for ever; of some
    hundred forks right after a pool of threads one did.
    """
    before = -1
    while (now := sum(1 for _ in _THREADS.iterdir())) != before:
        before = now
        time.sleep(_SETTLED)


#: Set in each forked process alone, before its first item.
_inherited: Callable[[Any], Any] | None = None


def _start(work: Callable[[Any], Any]) -> None:
    global _inherited  # noqa: PLW0603
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent reports the interrupt
    torch.set_num_threads(1)
    _inherited = work


def _call(item: Any) -> Any:
    assert _inherited is not None
    return _inherited(item)
