"""Decoding in another process, under limits of time and memory, so that no file can take the program down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Self

from medmeta.errors import MedMetaError, ScanRejectedError
from medmeta.scans.launch import START_SECONDS, Handle, Started, start
from medmeta.scans.limits import Limits
from medmeta.scans.scan import Scan
from medmeta.scans.wire import (
    BrokenWireError,
    receive,
    receive_body,
    receive_header,
    send,
    unpack_scan,
)


class Isolated:
    """A warm decoding process. Use as a context manager; `read` is a `medmeta.scans.reader.Reader`.

    The process starts with the first file and is started anew after a file has stopped it. Calls from
    several threads take turns.

    Args:
        limits: ``decode_seconds`` and ``worker_bytes`` bound the process, the others bind its reader.
        first: starts the first process, and gives None from then on; all are started by `launch.start` where None.
    """

    def __init__(
        self, limits: Limits | None = None, first: Callable[[], Started | None] = lambda: None
    ) -> None:
        self._limits = limits or Limits()
        self._first = first
        self._process: Started | None = None
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
            self._watch.arm(process.handle, limits.decode_seconds)
            try:
                send(process.stdin, {"file": file, "key": key.hex()}, data)
                header, size = receive_header(process.stdout, 4 * limits.decoded_bytes)
                if "refused" not in header:
                    self._watch.disarm()  # waiting for room is no fault of the file
                    admit(size)
                    self._watch.arm(process.handle, limits.decode_seconds)
                    return unpack_scan(header, receive_body(process.stdout, size), file, limits)
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
            process.handle.kill()

    def close(self) -> None:
        """End the process; a later `read` starts a new one."""
        with self._turn:
            self._stop()
            self._watch.end()

    def _running(self) -> Started:
        if self._process is not None and self._process.handle.poll() is None:
            return self._process
        self._stop()
        try:
            first, self._first = self._first, lambda: None
            self._process = process = first() or start()
            self._watch.arm(process.handle, START_SECONDS)
            send(process.stdin, {"limits": asdict(self._limits)})
            receive(process.stdout, 0)
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
        if process is not None:
            process.end()


class _Watch:
    """Kills a process that is late. One thread for all files: it sleeps until the first deadline it was given."""

    def __init__(self) -> None:
        self.late = False
        self._change = threading.Condition()
        self._process: Handle | None = None
        self._deadline = 0.0
        self._thread: threading.Thread | None = None

    def arm(self, process: Handle, seconds: float) -> None:
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
