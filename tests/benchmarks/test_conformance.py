"""The conformance table: what is compared, what is counted, and that a wrong pixel or refusal would be found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from benchmarks import conformance
from benchmarks.conformance import Outcome, dicom_files, differing, examined, read_table, refused_table
from benchmarks.decoders import DECODERS, CannotReadError, gdcm_here
from medmeta.scans.isolate import Isolated


@pytest.fixture(scope="module")
def isolated():
    with Isolated() as process:
        yield process


def path_of(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


def test_files_of_the_wheel_are_found() -> None:
    names = {path.name for path in dicom_files()}
    assert {"CT_small.dcm", "DICOMDIR", "SC_rgb_jpeg_dcmtk.dcm", "chrH31.dcm"} <= names


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "SC_rgb_jpeg_dcmtk.dcm", "examples_palette.dcm", "JPGExtended.dcm"]
)
def test_equal_pixels_have_no_difference(name: str, isolated: Isolated) -> None:
    found = examined(path_of(name), isolated, ["GDCM"])
    assert (found.refused, found.differences) == (None, {"GDCM": 0.0})
    assert not found.alone


def test_a_wrong_pixel_and_a_wrong_refusal_would_be_found(isolated: Isolated, monkeypatch) -> None:
    def off_by_three(path: Path) -> np.ndarray:
        return gdcm_here(path) + 3

    def reads_anything(path: Path) -> np.ndarray:
        return np.zeros((1, 2, 2))

    monkeypatch.setitem(DECODERS, "GDCM", off_by_three)
    found = examined(path_of("CT_small.dcm"), isolated, ["GDCM"])
    assert found.alone
    assert list(differing([found])) == ["- CT_small.dcm: up to 3 from GDCM"]
    monkeypatch.setitem(DECODERS, "GDCM", reads_anything)
    assert examined(path_of("MR_truncated.dcm"), isolated, ["GDCM"]).wrongly_refused
    assert examined(path_of("CT_small.dcm"), isolated, ["GDCM"]).differences == {"GDCM": float("inf")}
    assert not examined(path_of("rtdose.dcm"), isolated, ["GDCM"]).wrongly_refused


def test_a_decoder_that_reads_nothing_counts_nowhere(isolated: Isolated, monkeypatch) -> None:
    def nothing(path: Path) -> np.ndarray:
        raise CannotReadError

    monkeypatch.setitem(DECODERS, "GDCM", nothing)
    assert examined(path_of("CT_small.dcm"), isolated, ["GDCM"]).differences == {}


def test_tables_by_hand() -> None:
    outcomes = [
        Outcome("a", "RLE", "RGB", None, {"GDCM": 0.0}),
        Outcome("b", "RLE", "RGB", None, {"GDCM": 1.0}),
        Outcome("c", "RLE", "RGB", "is cut short; export it again", {"GDCM": 0.0}),
        Outcome("d", "Big", "RGB", "is not an image but a radiotherapy dose grid", {"GDCM": 0.0}),
        Outcome("e", "Big", "RGB", "is cut short; copy it again"),
    ]
    table = read_table(outcomes, ["GDCM", "DCMTK"]).splitlines()
    assert table[2:] == [
        "| RLE | RGB | 3 | 2 | 1 of 2 | reads none |",
        "| **all** |  | 3 | 2 | 1 of 2 | reads none |",
    ]
    assert refused_table(outcomes).splitlines()[2:] == [
        "| is cut short | 2 | 1 |",
        "| is not an image but a radiotherapy dose grid | 1 | 1 |",
    ]


def test_the_command_fails_where_something_is_wrong(monkeypatch, capsys) -> None:
    monkeypatch.setattr(
        conformance, "dicom_files", lambda: iter([path_of("CT_small.dcm"), path_of("test-SR.dcm")])
    )
    monkeypatch.setattr(conformance, "has_dcmtk", lambda: False)
    monkeypatch.setattr("sys.argv", ["conformance", "--list"])
    assert conformance.main() == 0
    printed = capsys.readouterr().out
    assert "1 read (0 of them by no other decoder), 1 refused, 0 wrong" in printed
    assert "CT_small.dcm: read" in printed
    monkeypatch.setitem(DECODERS, "GDCM", lambda path: np.zeros((1, 2, 2)))
    assert conformance.main() == 1
    assert "WRONG: CT_small.dcm" in capsys.readouterr().out


def test_jpeg_2000_equals_openjpeg_on_its_own(isolated: Isolated) -> None:
    found = examined(path_of("J2K_pixelrep_mismatch.dcm"), isolated, ["GDCM", "OpenJPEG"])
    assert found.differences == {"GDCM": 0.0, "OpenJPEG": 0.0}
    with pytest.raises(CannotReadError):
        DECODERS["OpenJPEG"](path_of("CT_small.dcm"))
