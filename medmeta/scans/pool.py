"""Several warm decoding processes at once: files go out to all of them and scans come back in order."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from medmeta.scans.isolate import Isolated
from medmeta.scans.launch import ForkServer, Started
from medmeta.scans.limits import MIB, Limits
from medmeta.scans.reader import Reader
from medmeta.scans.scan import Scan

#: More processes than this gain nothing: one thread hands the files out and takes the scans in.
MOST_PROCESSES = 8
#: Files handed out before the first one's scan is taken, for each process: always the fewer, and up to the more while
#: they hold no more bytes than this, all together. One slow file must not leave the other processes without work.
FEWEST_AHEAD, MOST_AHEAD, AHEAD_BYTES = 8, 64, 32 * MIB
#: Decoded bytes that may wait for their turn, all files together. The file whose turn it is always gets in.
WAITING_BYTES = 192 * MIB

T = TypeVar("T")
#: Starts reading one file: ``submit(data, file, key)``.
Submit = Callable[[bytes, str, bytes], "Future[Scan]"]


class PoolClosedError(Exception):
    """The pool is being closed; nobody waits for this file any more."""


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """A decoding process a core. Use as a context manager; leaving it ends them all at once.

    A file that stops its process costs itself alone: the others go on, and the process starts anew.

    Args:
        limits: bind each process as they bind `Isolated`.
        size: number of processes; one a core, `MOST_PROCESSES` at most, where None.
    """

    def __init__(self, limits: Limits | None = None, size: int | None = None) -> None:
        self.size = size or min(cores(), MOST_PROCESSES)
        self._server = ForkServer(self.size) if self.size > 1 and ForkServer.supported() else None
        if self._server is not None:
            self._server.begin()  # it loads while the caller looks through its files
        self._all = [Isolated(limits, self._forked) for _ in range(self.size)]
        self._idle: queue.SimpleQueue[Isolated] = queue.SimpleQueue()
        for each in self._all:
            self._idle.put(each)
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="medmeta-decode")
        self._room = _Room(WAITING_BYTES)
        self._number = 0
        self._out: dict[Future[Scan], tuple[int, int]] = {}
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def has_enough(self, waiting: int) -> bool:
        """Whether ``waiting`` files handed out and not taken yet are enough to keep every process busy."""
        most = MOST_AHEAD if self._bytes < AHEAD_BYTES else FEWEST_AHEAD
        return waiting >= most * self.size

    def submit(self, data: bytes, file: str, key: bytes) -> Future[Scan]:
        """Read one file; the scans must be taken in the order their files went out, `took` called after each."""
        number = self._number = self._number + 1
        future = self._threads.submit(self._read, number, data, file, key)
        self._out[future] = number, len(data)
        self._bytes += len(data)
        return future

    def took(self, future: Future[Scan]) -> None:
        """The scan has been taken: its memory counts no longer. Futures of other origin are let pass."""
        number, size = self._out.pop(future, (None, 0))
        if number is not None:
            self._bytes -= size
            self._room.leave(number)

    def close(self) -> None:
        """End the processes, also in the middle of a file."""
        self._room.close()
        for each in self._all:
            each.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for each in self._all:
            each.close()
        if self._server is not None:
            self._server.close()

    def _read(self, number: int, data: bytes, file: str, key: bytes) -> Scan:
        process = self._idle.get()
        try:
            self._room.check()
            return process.read(data, file, key, admit=lambda size: self._room.enter(number, size))
        finally:
            self._idle.put(process)

    def _forked(self) -> Started | None:
        started = None if self._server is None else self._server.take()
        try:
            self._room.check()  # `close` may have come while it started, and knows nothing of it
        except PoolClosedError:
            if started is not None:
                started.end()
            raise
        return started


class _Room:
    """Counts decoded bytes held by scans that wait for their turn."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held: dict[int, int] = {}
        self._turn = 1
        self._closed = False
        self._change = threading.Condition()

    def enter(self, number: int, size: int) -> None:
        """Wait until there is room for ``size`` bytes, or until it is this file's turn."""
        with self._change:
            self._change.wait_for(lambda: self._closed or self._fits(number, size))
            if self._closed:
                raise PoolClosedError
            self._held[number] = size

    def leave(self, number: int) -> None:
        with self._change:
            self._held.pop(number, None)
            self._turn = number + 1
            self._change.notify_all()

    def check(self) -> None:
        if self._closed:
            raise PoolClosedError

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _fits(self, number: int, size: int) -> bool:
        return number == self._turn or sum(self._held.values()) + size <= self._budget


def at_once(read: Reader) -> Submit:
    """A `Reader` as a `Submit` that has read the file when it returns."""

    def submit(data: bytes, file: str, key: bytes) -> Future[Scan]:
        done: Future[Scan] = Future()
        try:
            done.set_result(read(data, file, key))
        except BaseException as problem:
            done.set_exception(problem)
        return done

    return submit


def run_ahead(items: Iterable[T], enough: Callable[[int], bool]) -> Iterator[T]:
    """The items in order; further ones are drawn before the first is given out, until so many are ``enough``."""
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        while waiting and enough(len(waiting)):
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
