"""Pixels and thumbnails on disk, each under the hash of what it holds."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medmeta.workspace.records import WorkspaceError

#: Files waited for at the same time.
_AT_ONCE = 8

_HASH = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """One folder a content hash: ``pixels.npy`` and thumbnails.

    The only part of a path that varies is a hash this package computed; anything else is refused.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._unsettled = threading.local()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def folder(self, scan_id: str) -> Path:
        if not _HASH.fullmatch(scan_id):
            raise WorkspaceError("a stored scan is named by 64 hexadecimal digits; this name is not")
        return self.root / scan_id[:2] / scan_id

    def put_pixels(self, scan_id: str, pixels: NDArray[np.generic]) -> None:
        """Write the pixels once; the file appears whole or not at all, and for good after `settle`."""
        target = self.folder(scan_id) / "pixels.npy"
        if target.exists():
            return
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target.with_name(f"pixels-{secrets.token_hex(4)}.part")
        try:
            with part.open("wb") as handle:
                np.save(handle, np.ascontiguousarray(pixels), allow_pickle=False)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        self._new().append(target)

    def settle(self) -> None:
        """Wait until what this thread has written would survive a power cut; call it before the rows are committed.

        All files at once, so that they share the writes of the file system's journal.
        """
        new, self._unsettled.files = self._new(), []
        if new:
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                list(threads.map(_to_disk, new))

    def _new(self) -> list[Path]:
        """Files this thread has written since its last `settle`."""
        if not hasattr(self._unsettled, "files"):
            self._unsettled.files = []
        files: list[Path] = self._unsettled.files
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
        target = self._thumbnail_path(scan_id, variant)
        if target.exists():
            return
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target.with_name(f"thumb-{secrets.token_hex(4)}.part")
        try:
            part.write_bytes(png)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def thumbnail(self, scan_id: str, variant: str) -> bytes | None:
        """PNG bytes, or None when none is stored."""
        path = self._thumbnail_path(scan_id, variant)
        return path.read_bytes() if path.is_file() else None

    def remove(self, scan_id: str) -> None:
        """Delete everything stored for these pixels."""
        folder = self.folder(scan_id)
        if folder.exists():
            shutil.rmtree(folder)

    def remove_unless_held(self, connection: sqlite3.Connection, scan_id: str) -> None:
        """Delete the files of a scan no entry of any task names, inside the caller's transaction."""
        held = connection.execute("SELECT 1 FROM entry WHERE scan_id = ? LIMIT 1", (scan_id,)).fetchone()
        if held is None:
            self.remove(scan_id)

    def _thumbnail_path(self, scan_id: str, variant: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{8}", variant):
            raise WorkspaceError("a thumbnail is named by 8 hexadecimal digits; this name is not")
        return self.folder(scan_id) / f"thumb-{variant}.png"


def _to_disk(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
