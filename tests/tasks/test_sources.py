"""Every kind of source becomes a `LabelledSet` whose groups and labels are the files' own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from helpers import stripes

from medmeta.errors import TaskError
from medmeta.tasks.sources import open_set
from medmeta.tasks.synthetic import PATIENTS, sample_uploads


def write_classes(folder: Path) -> None:
    for number in range(3):
        for name in ("across", "upright"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / f"{number}.png").write_bytes(
                stripes(10 * number + len(name), upright=name == "upright")
            )


def test_class_folders_with_a_table_of_groups(tmp_path: Path) -> None:
    folder = tmp_path / "liver_ultrasound"
    write_classes(folder)
    rows = [f"{name}/{n}.png,{name},p{n // 2}" for name in ("across", "upright") for n in range(3)]
    (folder / "labels.csv").write_text("file,label,group\n" + "\n".join(rows))
    (data,) = open_set(folder)
    assert (data.name, data.domain, data.classes) == ("liver_ultrasound", "ultrasound", ("across", "upright"))
    assert data.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.groups == ("p0", "p0", "p1") * 2


def test_a_zip_of_class_folders_and_a_domain_said_by_hand(tmp_path: Path) -> None:
    write_classes(tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "set.v2.zip", "w") as archive:
        for file in sorted((tmp_path / "in").rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path / "in"))
    (data,) = open_set(str(tmp_path / "set.v2.zip"), domain="stripes")
    assert (data.name, data.domain, len(data.items)) == ("set.v2", "stripes", 6)
    assert len(set(data.groups)) == 6


def test_dicom_keeps_patients_together_and_names_its_domain(tmp_path: Path) -> None:
    for name, content in sample_uploads():
        (tmp_path / "export" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "export" / name).write_bytes(content)
    (data,) = open_set(tmp_path / "export")
    (again,) = open_set(tmp_path / "export")
    assert data.domain == "ct"
    assert len(set(data.groups)) == 3 * PATIENTS < len(data.items)
    assert again.groups == data.groups


def test_refused_files_are_told_and_the_others_kept(tmp_path: Path) -> None:
    write_classes(tmp_path / "set")
    (tmp_path / "set" / "across" / "note.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"set: 1 files were refused; the first, across/note\.png"):
        (data,) = open_set(tmp_path / "set")
    assert len(data.items) == 6


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "x.png").write_bytes(b"no picture")
    with pytest.raises(TaskError, match="no file could be read"):
        open_set(tmp_path / "set")


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(TaskError, match=r"nosuchset: no such file.*bloodmnist.*tissuemnist"):
        open_set("nosuchset")


def test_a_real_set_opens(shared_data: Path) -> None:
    (data,) = open_set(shared_data / "meta-train" / "med_nist.zip")
    assert len(data.classes) == 6
    assert len(data.items) == 1500
