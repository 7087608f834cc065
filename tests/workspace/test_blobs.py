"""Stored pixels and thumbnails: NumPy's own bytes, whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

from medmeta.workspace.blobs import BlobStore
from medmeta.workspace.records import WorkspaceError

NAME = "0123456789abcdef" * 4


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "scans")


@pytest.mark.parametrize(
    "pixels",
    [
        np.arange(24, dtype=np.int16).reshape(1, 4, 6),
        np.arange(24, dtype=np.int16).reshape(1, 6, 4).transpose(0, 2, 1),
        np.arange(24, dtype=">u2").reshape(2, 3, 4),
        np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 5, 12)[:, :, ::2],
        np.zeros((1, 3, 4, 3), np.uint8),
    ],
)
def test_the_file_is_the_one_that_numpy_would_write(blobs: BlobStore, pixels: np.ndarray) -> None:
    blobs.put_pixels(NAME, pixels)
    blobs.settle()
    expected = io.BytesIO()
    np.save(expected, np.ascontiguousarray(pixels), allow_pickle=False)
    assert (blobs.folder(NAME) / "pixels.npy").read_bytes() == expected.getvalue()
    assert np.array_equal(blobs.pixels(NAME, "a.png"), pixels)
    assert not blobs.pixels(NAME, "a.png").flags.writeable


def test_what_is_there_is_not_written_again(blobs: BlobStore) -> None:
    blobs.put_pixels(NAME, np.zeros((1, 2, 2), np.int16))
    blobs.put_pixels(NAME, np.ones((1, 2, 2), np.int16))
    blobs.put_thumbnail(NAME, "0a1b2c3d", b"first")
    blobs.put_thumbnail(NAME, "0a1b2c3d", b"second")
    blobs.put_thumbnail(NAME, "ffffffff", b"another way")
    assert not blobs.pixels(NAME, "a.png").any()
    assert blobs.thumbnail(NAME, "0a1b2c3d") == b"first"
    assert blobs.thumbnail(NAME, "ffffffff") == b"another way"
    assert blobs.thumbnail(NAME, "00000000") is None


def test_a_write_that_fails_leaves_nothing_behind(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        blobs.put_pixels(NAME, np.zeros((1, 2, 2), np.int16))
    assert list(blobs.folder(NAME).iterdir()) == []
    monkeypatch.undo()
    blobs.put_pixels(NAME, np.zeros((1, 2, 2), np.int16))
    assert [path.name for path in blobs.folder(NAME).iterdir()] == ["pixels.npy"]


def test_writes_that_take_a_part_at_a_time_go_on(blobs: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux writes at most 2 GiB at once."""

    class Slow(io.FileIO):
        def write(self, data) -> int:
            return super().write(data[:7])

    monkeypatch.setattr("builtins.open", lambda path, mode, buffering: Slow(path, mode))
    blobs.put_pixels(NAME, np.arange(30, dtype=np.int32).reshape(1, 5, 6))
    monkeypatch.undo()
    assert blobs.pixels(NAME, "a.png").ravel().tolist() == list(range(30))


def test_only_hashes_are_names(blobs: BlobStore) -> None:
    for name in ("../" + NAME[3:], NAME[:-1], NAME.upper(), "/etc/passwd"):
        with pytest.raises(WorkspaceError, match="64 hexadecimal digits"):
            blobs.put_pixels(name, np.zeros((1, 2, 2), np.int16))
    with pytest.raises(WorkspaceError, match="8 hexadecimal digits"):
        blobs.put_thumbnail(NAME, "../../aa", b"")


def test_others_may_not_look_in(blobs: BlobStore) -> None:
    blobs.put_pixels(NAME, np.zeros((1, 2, 2), np.int16))
    assert blobs.folder(NAME).stat().st_mode & 0o077 == 0
    assert blobs.root.stat().st_mode & 0o077 == 0
