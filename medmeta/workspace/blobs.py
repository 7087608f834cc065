"""Pixels and thumbnails on disk, each under the hash of what it holds."""

from __future__ import annotations

import io
import os
import re
import secrets
import shutil
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medmeta.workspace.records import WorkspaceError

#: Files waited for at the same time.
_AT_ONCE = 8

_HASH = re.compile(r"[0-9a-f]{64}")
_VARIANT = re.compile(r"[0-9a-f]{8}")


class BlobStore:
    """One folder a content hash: ``pixels.npy`` and thumbnails.

    The only part of a path that varies is a hash this package computed; anything else is refused.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = str(root)
        self._unsettled = threading.local()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def folder(self, scan_id: str) -> Path:
        return Path(self._folder(scan_id))

    def _folder(self, scan_id: str) -> str:
        # Text, not a `Path`: an upload takes a dozen of these steps a scan.
        if not _HASH.fullmatch(scan_id):
            raise WorkspaceError("a stored scan is named by 64 hexadecimal digits; this name is not")
        return f"{self._root}/{scan_id[:2]}/{scan_id}"

    def put_pixels(self, scan_id: str, pixels: NDArray[np.generic]) -> None:
        """Write the pixels once; the file appears whole or not at all, and for good after `settle`."""
        folder, array = self._folder(scan_id), np.ascontiguousarray(pixels)
        if _write_once(folder, "pixels.npy", _npy_head(array.dtype, array.shape), array.data.cast("B")):
            self._new().append(f"{folder}/pixels.npy")

    def settle(self) -> None:
        """Wait until what this thread has written would survive a power cut; call it before the rows are committed.

        All files at once, so that they share the writes of the file system's journal.
        """
        new, self._unsettled.files = self._new(), []
        if new:
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                list(threads.map(_to_disk, new))

    def _new(self) -> list[str]:
        """Files this thread has written since its last `settle`."""
        if not hasattr(self._unsettled, "files"):
            self._unsettled.files = []
        files: list[str] = self._unsettled.files
        return files

    def pixels(self, scan_id: str, file: str) -> NDArray[np.generic]:
        """The stored pixels, memory-mapped and read-only.

        Raises:
            WorkspaceError: the file is gone or damaged; names the upload ``file``.
        """
        path = self.folder(scan_id) / "pixels.npy"
        try:
            loaded: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise WorkspaceError(
                f"{file}: its stored pixels are missing or damaged; remove the scan from the task and upload "
                "it again"
            ) from error
        return loaded

    def put_thumbnail(self, scan_id: str, variant: str, png: bytes) -> None:
        """Write the thumbnail once; the file appears whole or not at all."""
        _write_once(self._folder(scan_id), _thumbnail_name(variant), png)

    def thumbnail(self, scan_id: str, variant: str) -> bytes | None:
        """PNG bytes, or None when none is stored."""
        path = self.folder(scan_id) / _thumbnail_name(variant)
        return path.read_bytes() if path.is_file() else None

    def remove(self, scan_id: str) -> None:
        """Delete everything stored for these pixels."""
        folder = self.folder(scan_id)
        if folder.exists():
            shutil.rmtree(folder)

    def older_than(self, seconds: float) -> list[str]:
        """Scans whose folder has not changed for so long."""
        before = time.time() - seconds
        found = (path for path in self.root.glob("??/*") if _HASH.fullmatch(path.name))
        return [path.name for path in found if path.stat().st_mtime < before]

    def remove_unless_held(self, connection: sqlite3.Connection, scan_id: str) -> None:
        """Delete the files of a scan no entry of any task names, inside the caller's transaction."""
        held = connection.execute("SELECT 1 FROM entry WHERE scan_id = ? LIMIT 1", (scan_id,)).fetchone()
        if held is None:
            self.remove(scan_id)


def _thumbnail_name(variant: str) -> str:
    if not _VARIANT.fullmatch(variant):
        raise WorkspaceError("a thumbnail is named by 8 hexadecimal digits; this name is not")
    return f"thumb-{variant}.png"


@lru_cache(maxsize=256)
def _npy_head(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    """What stands before the values in a NumPy file, format 1.0."""
    head = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, about)
    return head.getvalue()


def _write_once(folder: str, name: str, *parts: bytes | memoryview) -> bool:
    """Make a file of these parts appear whole or not at all; False where it is there already."""
    target, part = f"{folder}/{name}", f"{folder}/{name}-{secrets.token_hex(4)}.part"
    if os.path.exists(target):
        return False
    try:
        with _made(part) as handle:
            for each in parts:
                left = memoryview(each)
                while left:
                    left = left[handle.write(left) :]
        os.replace(part, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise
    return True


def _made(path: str) -> io.FileIO:
    """A new file without a buffer; its folder is made where there is none."""
    try:
        return open(path, "xb", buffering=0)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return open(path, "xb", buffering=0)


def _to_disk(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
