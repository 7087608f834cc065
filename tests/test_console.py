"""What the commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from medmeta.console import bar, check_apart, check_file, check_folder, tolerance, whole, write
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


def test_progress_without_a_terminal_is_a_line_now_and_then(monkeypatch, capsys) -> None:
    now = [0.0]
    monkeypatch.setattr("medmeta.console.time.monotonic", lambda: now[0])
    with bar() as progress:
        for now[0] in (1.0, 9.0, 11.0, 12.0, 22.0):
            progress(now[0] / 100, f"at {now[0]:.0f}")
    assert capsys.readouterr().err == "11 %: at 11\n22 %: at 22\n"


def test_places_are_refused_before_the_work_and_left_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for wrong in (tmp_path / "file" / "x", tmp_path / "file" / "x" / "y", Path("/proc/nothing/here")):
        with pytest.raises(MedMetaError, match=r"cannot be written .*choose another place"):
            check_folder(wrong)
        with pytest.raises(MedMetaError, match=r"cannot be written .*choose another place"):
            check_file(wrong / "z")
    with pytest.raises(MedMetaError, match="is a folder; name a file"):
        check_file(tmp_path)
    check_folder(tmp_path / "new" / "deep")
    check_file(tmp_path / "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_results_do_not_go_among_the_scans(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for inside in ("scans", "scans/run", "scans/../scans/a/b"):
        with pytest.raises(MedMetaError, match="choose a folder beside it"):
            check_apart(tmp_path / inside, None, tmp_path / "scans")
    check_apart(tmp_path / "scans-run", tmp_path / "scans", "a name of a set")


@pytest.mark.parametrize("wrong", ["-1", "1.5", "", "nan", "²"])
def test_a_seed_is_a_whole_number(wrong: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        whole(wrong)
    assert whole("7") == 7


@pytest.mark.parametrize("wrong", ["-1", "nan", "inf", "x"])
def test_a_tolerance_is_a_number_of_at_least_0(wrong: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        tolerance(wrong)
    assert tolerance("0.5") == 0.5
