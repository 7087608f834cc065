"""The five lines of the README."""

from __future__ import annotations

from pathlib import Path

import pytest

import medmeta
from medmeta.errors import TaskError
from medmeta.tasks.synthetic import sample_uploads


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDMETA_WORKSPACE", str(tmp_path / "workspace"))
    for name, content in sample_uploads():
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "scans"


def test_five_lines(folder: Path) -> None:
    task = medmeta.read_task(folder)
    evaluation = medmeta.evaluate(task)
    model = medmeta.adapt(task)
    prediction = model.predict(medmeta.read_scans(folder / "round nodule" / "IM0001"))
    assert evaluation.patients.n == 18
    assert [comparison.learner for comparison in evaluation.comparisons] == [
        "prototypes",
        "logistic",
        "ridge",
    ]
    assert prediction.labels[0] in task.classes


def test_refused_files_warn_and_an_empty_source_stops(folder: Path, tmp_path: Path) -> None:
    (folder / "round nodule" / "bad").write_text("hello")
    with pytest.warns(UserWarning, match="round nodule/bad was refused"):
        assert len(medmeta.read_scans(folder)) == 24
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "note.txt").write_text("hello")
    with (
        pytest.warns(UserWarning, match="refused"),
        pytest.raises(TaskError, match="no file could be read as a scan"),
    ):
        medmeta.read_task(tmp_path / "none")


def test_one_patient_keeps_one_group_across_calls(folder: Path) -> None:
    first = medmeta.read_scans(folder / "no nodule")
    second = medmeta.read_scans(folder / "no nodule" / "IM0001")
    assert second[0].group == first[0].group
    assert second[0].group.startswith("P-")


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        _ = medmeta.magic
