"""The decoding process: ``python -m medmeta.scans.worker``, started by `medmeta.scans.launch` alone.

It takes limits and files on its standard input and gives scans back on its standard output. It holds no
network connection, writes no file, leaves no core dump, and ends when its input ends.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

if __name__ == "__main__":
    # pydicom would fetch its test files with these; here nothing is fetched, and the start is a sixth quicker without.
    sys.modules.update(dict.fromkeys(("requests", "tqdm")))  # type: ignore[arg-type]

from medmeta.errors import ScanRejectedError
from medmeta.scans.limits import Limits
from medmeta.scans.reader import read_file
from medmeta.scans.wire import BrokenWireError, pack_scan, receive, send

if sys.platform != "win32":  # there, the parent's limit on wall time still holds
    import resource


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer messages until the other side closes: first the limits, then one file each."""
    header, _ = receive(source, 0)
    limits = replace(Limits(), **header["limits"])
    _confine(limits)
    send(sink, {"ready": True})
    while True:
        try:
            header, data = receive(source, limits.file_bytes)
        except BrokenWireError:
            return
        _grant_seconds(limits.decode_seconds)
        try:
            scan = read_file(bytes(data), str(header["file"]), bytes.fromhex(header["key"]), limits)
            fields, pixels = pack_scan(scan)
            send(sink, fields, pixels)
        except ScanRejectedError as refusal:
            send(sink, {"refused": refusal.reason})
        except MemoryError:
            send(
                sink, {"refused": "needs more memory to decode than is allowed; export it in a smaller size"}
            )


def main(arguments: Sequence[str] = ()) -> None:
    """Serve one side of a pair of pipes: the standard streams, or those whose descriptors are given, each by a
    process forked for it."""
    gc.freeze()  # what the imports made is never rubbish: it need not be looked through again and again
    numbers = [int(each) for each in arguments]
    if not numbers:
        _serve_quietly()
    elif fork_on_demand(list(zip(numbers[::2], numbers[1::2], strict=True))):
        _serve_quietly(hello={"pid": os.getpid()})


def _serve_quietly(hello: Mapping[str, object] | None = None) -> None:
    """Keep the real output for messages alone: decoders written in C print to descriptors 1 and 2."""
    with os.fdopen(os.dup(1), "wb") as sink:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        if hello is not None:
            send(sink, hello)
        serve(sys.stdin.buffer, sink)


def fork_on_demand(pipes: Sequence[tuple[int, int]]) -> bool:
    """Fork a process for each byte on the standard input, the next of ``pipes`` its input and output.

    Returns:
        True in a forked process, which has told its number and owns its pipes alone; False in the server, once its
        input and all its children have ended.
    """
    for number, (source, sink) in enumerate(pipes):
        if not os.read(0, 1):
            break
        if not os.fork():
            os.dup2(source, 0)
            os.dup2(sink, 1)
            for each in pipes[number:]:
                os.close(each[0])
                os.close(each[1])
            return True
        os.close(source)
        os.close(sink)
    while os.read(0, 1):
        continue
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return False


def _confine(limits: Limits) -> None:
    if sys.platform == "win32":
        return
    _lower(resource.RLIMIT_AS, limits.worker_bytes)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, 64)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(which, (value, value))
    except (ValueError, OSError):  # macOS takes no limit on address space; the parent's limit on time holds
        return


def _grant_seconds(seconds: float) -> None:
    """Processor time for the next file, in case the parent is gone and cannot stop us."""
    if sys.platform == "win32":
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + 2 * seconds) + 2, hard))


if __name__ == "__main__":
    main(sys.argv[1:])
