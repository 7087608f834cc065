"""Decoding in another process, under limits of time and memory, so that no file can take the program down."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from medmeta.errors import MedMetaError, ScanRejectedError
from medmeta.scans.limits import MIB, Limits
from medmeta.scans.scan import Scan
from medmeta.scans.wire import (
    BrokenWireError,
    receive,
    receive_body,
    receive_header,
    send,
    unpack_scan,
    widen,
)

_START_SECONDS = 60.0
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


class Isolated:
    """A warm decoding process. Use as a context manager; `read` is a `medmeta.scans.reader.Reader`.

    The process starts with the first file and is started anew after a file has stopped it. Calls from
    several threads take turns.

    Args:
        limits: ``decode_seconds`` and ``worker_bytes`` bound the process, the others bind its reader.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._watch = _Watch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(
        self, data: bytes, file: str, key: bytes, *, admit: Callable[[int], None] = lambda size: None
    ) -> Scan:
        """Read one file as `medmeta.scans.reader.read_file` does, in the other process.

        Args:
            data: the whole file.
            file: its name, for people.
            key: pseudonym key.
            admit: told the bytes of the decoded pixels before they are taken in; may wait until there is room.

        Raises:
            ScanRejectedError: the reader refuses the file, or it took too long or stopped the process.
            MedMetaError: the process cannot be started at all.
        """
        limits = self._limits
        if len(data) > limits.file_bytes:
            raise ScanRejectedError(file, "is larger than the limit of one file")
        with self._turn:
            process = self._running()
            self._watch.arm(process, limits.decode_seconds)
            try:
                send(_in(process), {"file": file, "key": key.hex()}, data)
                header, size = receive_header(_out(process), 4 * limits.decoded_bytes)
                if "refused" not in header:
                    self._watch.disarm()  # waiting for room is no fault of the file
                    admit(size)
                    self._watch.arm(process, limits.decode_seconds)
                    return unpack_scan(header, receive_body(_out(process), size), file, limits)
            except (BrokenWireError, OSError):
                self._stop()
                if self._watch.late:
                    what = f"took the decoder longer than {limits.decode_seconds:g} seconds"
                else:
                    what = "stopped the decoder (out of memory or damaged)"
                raise ScanRejectedError(
                    file, f"the file {what}, so it was refused; export it again, uncompressed"
                ) from None
            except BaseException:
                self._stop()  # an answer may still be on its way, and the next file must not get it
                raise
            finally:
                self._watch.disarm()
            raise ScanRejectedError(file, str(header["refused"])[:500])

    def kill(self) -> None:
        """Stop the process from another thread, whatever it is at; the `read` under way is refused."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process; a later `read` starts a new one."""
        with self._turn:
            self._stop()
            self._watch.end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        home = Path(__file__).resolve().parents[2]
        given = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        path = os.pathsep.join([str(home), *(each for each in sys.path if each)])
        process = subprocess.Popen(
            [sys.executable, "-m", "medmeta.scans.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**given, **threads, **_ALLOCATOR, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=home,
            start_new_session=True,
        )
        self._process = process
        widen(_in(process))
        widen(_out(process))
        self._watch.arm(process, _START_SECONDS)
        try:
            send(_in(process), {"limits": asdict(self._limits)})
            receive(_out(process), 0)
        except (BrokenWireError, OSError):
            self._stop()
            raise MedMetaError(
                "the process that decodes scans could not be started; check the installation and the free memory"
            ) from None
        finally:
            self._watch.disarm()
        return process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # unsent bytes to a process that is gone
                    continue
        process.wait()


class _Watch:
    """Kills a process that is late. One thread for all files: it sleeps until the first deadline it was given."""

    def __init__(self) -> None:
        self.late = False
        self._change = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0
        self._thread: threading.Thread | None = None

    def arm(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Kill ``process`` in so many seconds unless `disarm` comes first."""
        with self._change:
            self.late = False
            self._process, before = process, self._deadline
            self._deadline = time.monotonic() + seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="medmeta-watch", daemon=True)
                self._thread.start()
            elif not before or self._deadline < before:
                self._change.notify()  # it sleeps without an end, or past this one

    def disarm(self) -> None:
        with self._change:
            self._process = None

    def end(self) -> None:
        """End the thread; a later `arm` starts another."""
        with self._change:
            thread, self._thread, self._process = self._thread, None, None
            self._change.notify()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        with self._change:
            while self._thread is threading.current_thread():
                left = self._deadline - time.monotonic()
                if left > 0:
                    self._change.wait(left)
                    continue
                if self._process is not None:
                    self.late = True
                    self._process.kill()
                    self._process = None
                self._deadline = 0.0
                self._change.wait()


def _in(process: subprocess.Popen[bytes]) -> BinaryIO:
    return cast(BinaryIO, process.stdin)


def _out(process: subprocess.Popen[bytes]) -> BinaryIO:
    return cast(BinaryIO, process.stdout)
