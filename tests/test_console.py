"""What the commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from medmeta.console import bar, write
from medmeta.errors import MedMetaError


def test_files_are_written_with_their_folders(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b.txt", "größer")
    write(tmp_path / "a" / "b.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "größer"
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"\x00\xff"
    with pytest.raises(MedMetaError, match=r"cannot be written .*choose another place"):
        write(tmp_path / "a" / "b.txt" / "c", "")


def test_the_bar_takes_progress() -> None:
    with bar() as progress:
        progress(0.5, "half")
        progress(1.0, "done")
