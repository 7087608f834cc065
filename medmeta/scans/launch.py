"""Decoding processes as the operating system sees them: each started alone, or forked from one that is ready."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from medmeta.scans.limits import MIB
from medmeta.scans.wire import BrokenWireError, receive, widen

#: The child gets these variables and no others: it needs no secret that may stand in the environment.
_ENVIRONMENT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "TEMP",
    "TMPDIR",
    "LANG",
    "LC_ALL",
)
#: glibc's allocator keeps freed pixels for the next file; by default it hands them back, and every page of every
#: frame is asked for and cleared anew, a tenth of the time. Other C libraries ignore these.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(128 * MIB), "MALLOC_TRIM_THRESHOLD_": str(512 * MIB)}
#: What a process may need to start, and a server to end.
START_SECONDS, _END_SECONDS = 60.0, 5.0


class Handle(Protocol):
    """What is asked of a process; `subprocess.Popen` can do it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """None as long as it runs."""

    def kill(self) -> None: ...

    def wait(self) -> int:
        """Return once it has ended."""


@dataclass(frozen=True)
class Started:
    """A process and the pipes to its input and from its output."""

    handle: Handle
    stdin: BinaryIO
    stdout: BinaryIO

    def __post_init__(self) -> None:
        widen(self.stdin)
        widen(self.stdout)

    def end(self) -> None:
        """Stop it at once, and wait until it is gone."""
        self.handle.kill()
        for stream in (self.stdin, self.stdout):
            with suppress(OSError):  # unsent bytes to a process that is gone
                stream.close()
        self.handle.wait()


def start() -> Started:
    """Start one decoding process."""
    process = _python()
    return Started(process, cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout))


class ForkServer:
    """Up to ``size`` decoding processes forked from one that has loaded everything: all but the first cost next to
    nothing. Linux only (`supported`).

    The server never sees a file. What it forks shares the places of libraries in memory; a process that a file has
    stopped is therefore not followed by another of these but by one of `start`.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._turn = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._pipes: list[tuple[BinaryIO, BinaryIO]] = []

    @staticmethod
    def supported() -> bool:
        return sys.platform == "linux" and hasattr(os, "pidfd_open")

    def begin(self) -> None:
        """Start the server, which takes a while to load, before the first process is asked for."""
        with self._turn, suppress(OSError):  # `take` tries again, and is where it matters
            self._started()

    def take(self) -> Started | None:
        """The next process; None when all have been taken or it cannot be had."""
        try:
            with self._turn:
                if not self._size:  # closed
                    return None
                server = self._started()
                if not self._pipes:
                    return None
                stdin, stdout = self._pipes.pop(0)
                asked = cast(BinaryIO, server.stdin)
                asked.write(b"+")
                asked.flush()
            return self._greeted(stdin, stdout)
        except (BrokenWireError, OSError, KeyError, TypeError, ValueError):
            return None

    def close(self) -> None:
        """End the server; it waits for processes that still run, so end those first."""
        with self._turn:
            server, self._server = self._server, None
            unused = len(self._pipes) == self._size
            self._size = 0
            for stdin, stdout in self._pipes:
                stdin.close()
                stdout.close()
            self._pipes = []
        if server is not None:
            if unused:  # it may still be loading
                server.kill()
            try:
                server.communicate(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.communicate()

    def _greeted(self, stdin: BinaryIO, stdout: BinaryIO) -> Started:
        """Its first word, before it has seen a file, is its number; it waits for ours, so the number is still its."""
        try:
            if not select.select([stdout], [], [], START_SECONDS)[0]:
                raise BrokenWireError
            return Started(_Forked(int(receive(stdout, 0)[0]["pid"])), stdin, stdout)
        except BaseException:
            stdin.close()  # which ends it
            stdout.close()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._server is None:
            self._server = self._start()
        return self._server

    def _start(self) -> subprocess.Popen[bytes]:
        theirs: list[int] = []
        try:
            for _ in range(self._size):
                their_in, our_out = os.pipe()
                our_in, their_out = os.pipe()
                theirs += [their_in, their_out]
                self._pipes.append((os.fdopen(our_out, "wb"), os.fdopen(our_in, "rb")))
            return _python(*map(str, theirs), inherited=theirs)
        finally:
            for each in theirs:
                os.close(each)


class _Forked:
    """A process that is the child of another; held by a file descriptor, as its number may be given anew."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._open = True
        self._turn = threading.Lock()

    def poll(self) -> int | None:
        with self._turn:
            return 0 if not self._open or self._ended(0) else None

    def kill(self) -> None:
        with self._turn, suppress(ProcessLookupError):
            if self._open:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def wait(self) -> int:
        self._ended(None)
        with self._turn:
            if self._open:
                self._open = False
                os.close(self._descriptor)
        return 0

    def _ended(self, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(seconds))


def _python(*arguments: str, inherited: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    home = Path(__file__).resolve().parents[2]
    given = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join([str(home), *(each for each in sys.path if each)])
    return subprocess.Popen(  # noqa: S603 (our own interpreter, and numbers)
        [sys.executable, "-m", "medmeta.scans.worker", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**given, **threads, **_ALLOCATOR, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=home,
        start_new_session=True,
        pass_fds=inherited,
    )
