"""Messages between the program and its decoding process: a JSON header, then raw bytes. No pickle."""

from __future__ import annotations

import json
import math
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from medmeta.scans.deidentify import PERMITTED_TAGS
from medmeta.scans.limits import Limits
from medmeta.scans.scan import WINDOW_FUNCTIONS, Scan, VoiTable

if sys.platform == "linux":
    import fcntl

_HEADER_BYTES = 2**20
_PIPE_BYTES = 2**20
_DTYPES = frozenset(("|u1", "<u2", "<i2", "<u4", "<i4", "<f4"))


class BrokenWireError(Exception):
    """The other side went away or sent something that is no message."""


def send(stream: BinaryIO, header: Mapping[str, Any], body: bytes | memoryview = b"") -> None:
    """Write one message and flush it."""
    text = json.dumps({**header, "size": len(body)}).encode()
    stream.write(struct.pack(">I", len(text)) + text)
    stream.write(body)
    stream.flush()


def receive(stream: BinaryIO, most: int) -> tuple[dict[str, Any], bytearray]:
    """Read one message with a body of at most ``most`` bytes.

    Raises:
        BrokenWireError: end of stream, or a header that is none.
    """
    header, size = receive_header(stream, most)
    return header, receive_body(stream, size)


def receive_header(stream: BinaryIO, most: int) -> tuple[dict[str, Any], int]:
    """Read the header of a message and the size of its body, at most ``most`` bytes; `receive_body` must follow.

    Raises:
        BrokenWireError: end of stream, or a header that is none.
    """
    length = struct.unpack(">I", receive_body(stream, 4))[0]
    if length > _HEADER_BYTES:
        raise BrokenWireError
    try:
        header = json.loads(bytes(receive_body(stream, length)))
        size = int(header["size"])
    except (ValueError, KeyError, TypeError):
        raise BrokenWireError from None
    if not 0 <= size <= most:
        raise BrokenWireError
    return header, size


def receive_body(stream: BinaryIO, count: int) -> bytearray:
    """Read exactly ``count`` bytes.

    Raises:
        BrokenWireError: the stream ends before.
    """
    data = bytearray(count)
    view, got = memoryview(data), 0
    while got < count:
        step = stream.readinto(view[got:])  # type: ignore[attr-defined]
        if not step:
            raise BrokenWireError
        got += step
    return data


def widen(stream: BinaryIO) -> None:
    """Let a pipe hold as much as Linux allows anyone, so that a scan crosses it in a few steps."""
    if sys.platform == "linux":
        with suppress(OSError):  # over the user's total; the pipe then stays as it is
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def pack_scan(scan: Scan) -> tuple[dict[str, Any], memoryview]:
    """A scan as header and pixel bytes."""
    little = scan.pixels.astype(scan.pixels.dtype.newbyteorder("<"), copy=False)
    header = {
        "dtype": little.dtype.str,
        "shape": list(little.shape),
        "group": scan.group,
        "group_source": scan.group_source,
        "tags": dict(scan.tags),
        "transfer_syntax": scan.transfer_syntax,
        "unit": scan.unit,
        "window": scan.window,
        "window_function": scan.window_function,
        "voi_table": None if scan.voi_table is None else [scan.voi_table.first, scan.voi_table.shades.hex()],
        "padding": scan.padding,
        "monochrome1": scan.monochrome1,
        "warnings": list(scan.warnings),
        "id": scan.id,
        "series": scan.series,
        "study": scan.study,
    }
    flat: NDArray[Any] = np.ascontiguousarray(little).reshape(-1).view(np.uint8)
    return header, flat.data


def unpack_scan(header: Mapping[str, Any], body: bytearray, file: str, limits: Limits) -> Scan:
    """The scan of a message, every part checked: the sender has read a hostile file and may be taken over.

    Raises:
        BrokenWireError: a part is not what `pack_scan` writes.
    """
    try:
        kind, shape = str(header["dtype"]), tuple(int(side) for side in header["shape"])
        fits = kind in _DTYPES and len(shape) in (3, 4) and min(shape) > 0
        if not fits or math.prod(shape) * np.dtype(kind).itemsize != len(body):
            raise BrokenWireError
        tags = dict(header["tags"])
        if not set(tags) <= set(PERMITTED_TAGS):
            raise BrokenWireError
        window, table, padding = header["window"], header["voi_table"], header["padding"]
        if header["window_function"] not in WINDOW_FUNCTIONS:
            raise BrokenWireError
        syntax = header["transfer_syntax"]
        return Scan(
            file=file,
            pixels=np.frombuffer(body, kind).reshape(shape),
            group=str(header["group"]),
            group_source=str(header["group_source"]),
            tags={word: PERMITTED_TAGS[word](_parts(value)) for word, value in tags.items()},
            transfer_syntax=None if syntax is None else str(syntax),
            unit=str(header["unit"]),
            window=None if window is None else (float(window[0]), float(window[1])),
            window_function=str(header["window_function"]),
            voi_table=None if table is None else _table(int(table[0]), bytes.fromhex(table[1])),
            padding=None if padding is None else (float(padding[0]), float(padding[1])),
            monochrome1=bool(header["monochrome1"]),
            warnings=tuple(str(sentence) for sentence in header["warnings"]),
            id=str(header["id"]),
            series=str(header["series"]),
            study=str(header.get("study", "")),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        raise BrokenWireError from None


def _table(first: int, shades: bytes) -> VoiTable:
    if not shades or len(shades) > 2**16 or abs(first) > 2**31:
        raise BrokenWireError
    return VoiTable(first, shades)


def _parts(value: object) -> object:
    return value.split("\\") if isinstance(value, str) and "\\" in value else value
