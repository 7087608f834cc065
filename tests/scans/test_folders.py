"""Classes and patients that the folders of an upload name."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from dicom_files import KEY, dicom, gradient, zipped
from PIL import Image

from medmeta.scans.folders import read_folders
from medmeta.scans.intake import iter_intake
from medmeta.scans.limits import Limits
from medmeta.scans.reader import in_process
from medmeta.scans.scan import LabelledScan

CORNERS = (("train", "benign"), ("train", "malignant"), ("test", "benign"), ("test", "malignant"))


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), shade).save(file, "PNG")
    return file.getvalue()


def take(uploads: dict[str, bytes]) -> tuple[dict[str, LabelledScan], str]:
    found = list(iter_intake(uploads.items(), key=KEY, reader=in_process()))
    good = {item.scan.file: item for item in found if isinstance(item, LabelledScan)}
    assert len(good) == sum(not name.endswith(".csv") for name in uploads)
    return good, " | ".join(item for item in found if isinstance(item, str))


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a/1", "b/2"], ["a", "b"]),
        (["data/a/1", "data/b/2"], ["a", "b"]),
        (["x/data/a/p1/s/1", "x/data/b/p2/2"], ["a", "b"]),
        (["data/a/1", "data/notes"], ["a", None]),
        (["a/1", "a/2"], ["a", "a"]),
        (["1", "2"], [None, None]),
        (["a/1", "2"], ["a", None]),
        ([" e\N{COMBINING ACUTE ACCENT} /1", "b/1"], ["\N{LATIN SMALL LETTER E WITH ACUTE}", "b"]),
        (["Train/a/1", "Train/b/2", "TEST/a/3", "val/b/4"], ["a", "b", "a", "b"]),
        (["x/train/img/a/1", "x/test/img/b/2"], ["a", "b"]),
        (["train/a/1", "train/b/2", "test/3"], ["a", "b", None]),
        (["train/1", "test/2"], [None, None]),
        (["x/train/1", "x/train/2"], [None, None]),
        (["train/1", "2"], [None, None]),
        (["train/1", "healthy/2"], ["train", "healthy"]),
        (["train/a/1", "test/a/2", "healthy/3"], ["train", "test", "healthy"]),
        (["train/test/1", "test/train/2"], [None, None]),
        (["Train_Set/a/1", "test-set/b/2", "validation/b/3"], ["a", "b", "b"]),
        (["fold0/a/1", "fold_1/b/2", "FOLD 12/b/3"], ["a", "b", "b"]),
        (["split0/train/a/1", "split0/test/b/2", "split1/train/b/3"], ["a", "b", "b"]),
        (["fold0/1", "fold1/2"], [None, None]),
        (["testis/1", "tester/2"], ["testis", "tester"]),
        (["folded/1/x", "split/2/x"], ["folded", "split"]),
    ],
)
def test_labels(names: list[str], labels: list[str | None]) -> None:
    assert list(read_folders(names, Limits()).labels.values()) == labels


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        (["a/1", "b/2"], [None, None]),
        (["a/p1/s/1", "a/p1/2", "b/p2/3"], ["p1", "p1", "p2"]),
        (["a/Ann/1", "a/Bo/2", "b/Cy/3"], ["Ann", "Bo", "Cy"]),
        (["a/Ann/1", "a/2", "b/3"], ["Ann", None, None]),
        (["a/images/1", "a/masks/2", "b/masks/3", "b/images/4"], [None] * 4),
        (["a/images/p1/1", "a/images/p2/2", "b/images/p3/3"], ["p1", "p2", "p3"]),
        (["a/1/x", "a/2/x", "b/1/x", "b/2/x"], ["1", "2", "1", "2"]),
        (["train/a/p1/1", "test/b/p2/2"], ["p1", "p2"]),
        (["p1/s1/1", "p2/s2/2"], ["s1", "s2"]),
    ],
)
def test_patients(names: list[str], patients: list[str | None]) -> None:
    found = read_folders(names, Limits()).patients
    assert [found.get(name) for name in names] == patients


def test_a_folder_too_long_for_a_label_is_named() -> None:
    found = read_folders(["abcdef/1", "b/2", "b/uvwxyz/3"], replace(Limits(), label_length=5))
    assert found.faulty == ("abcdef/1",)
    assert found.labels == {"abcdef/1": None, "b/2": "b", "b/uvwxyz/3": "b"}
    assert found.patients == {"b/uvwxyz/3": "uvwxyz"}


def test_pictures_of_one_patient_folder_are_one_group_under_a_pseudonym() -> None:
    good, said = take(
        {
            "a/Ann Miller/1.png": picture(1),
            "a/Ann Miller/series 2/2.png": picture(2),
            "b/Ann Miller/3.png": picture(3),
            "b/4.png": picture(4),
        }
    )
    alone = good.pop("b/4.png").scan
    (group,) = {item.scan.group for item in good.values()}
    assert {item.scan.group_source for item in good.values()} == {"folder"}
    assert (alone.group_source, alone.group == group) == ("file", False)
    assert "Ann" not in group
    assert "3 of 4 scans lie in folders that stand for patients, 1 in all" in said
    assert "Ann" not in said


def test_what_names_a_patient_goes_before_the_folder() -> None:
    table = b"file,label,group\na/p1/2.png,x,g\na/p1/3.png,x,\n"
    good, said = take(
        {
            "a/p1/1": dicom(gradient(), PatientID="known"),
            "a/p1/2.png": picture(2),
            "a/p1/3.png": picture(3),
            "b/p2/4.png": picture(4),
            "labels.csv": table,
        }
    )
    sources = [good[name].scan.group_source for name in ("a/p1/1", "a/p1/2.png", "a/p1/3.png", "b/p2/4.png")]
    # An empty group says nothing of the patient, so it must not undo what the folder says.
    assert sources == ["PatientID", "labels.csv", "folder", "folder"]
    assert "2 of 4 scans lie in folders" in said


def groups(uploads: dict[str, bytes], table: str) -> list[tuple[str, str]]:
    good, _ = take({**uploads, "labels.csv": table.encode()})
    return [(good[name].scan.group, good[name].scan.group_source) for name in uploads]


def test_a_table_without_groups_leaves_the_patient_folders() -> None:
    files = {f"benign/p{at // 2}/{at}.png": picture(at) for at in range(4)}
    one, two, three, four = groups(files, "file,label\n" + "".join(f"{name},benign\n" for name in files))
    assert (one, three) == (two, four)
    assert {source for _, source in (one, three)} == {"folder"}
    assert one != three


@pytest.mark.parametrize(
    ("first", "other", "label", "known"),
    [
        ("p1", "p2", "x", True),
        ("Ann 1", "healthy", "x", True),
        ("p1/s1", "p2/s1", "x", True),
        ("benign", "malignant", "x", False),
        ("grade 1", "grade 2", "Grade 1", False),
        ("images_001", "images_002", "x", False),
        ("HAM10000_images_part_1", "HAM10000_images_part_2", "x", False),
        ("fold0", "fold1", "x", False),
        ("set 7", "set 7", "x", False),
    ],
)
def test_outermost_folders_are_patients_where_a_table_gives_the_labels(
    first: str, other: str, label: str, known: bool
) -> None:
    files = {f"{first}/1.png": picture(1), f"{first}/2.png": picture(2), f"{other}/3.png": picture(3)}
    one, two, three = groups(files, f"file,label\n1.png,{label}\n2.png,y\n3.png,y\n")
    assert one[1] == ("folder" if known else "file")
    assert (one == two) is known
    assert three != one


def test_folders_that_divide_a_data_set_are_said_to_be_one_set() -> None:
    files = {"train/a/1.png": picture(1), "train/b/2.png": picture(2), "test/b/3.png": picture(3)}
    good, said = take(files)
    assert {name: item.label for name, item in good.items()} == dict(zip(files, ("a", "b", "b"), strict=True))
    assert "the folders test and train were read as one set" in said
    table = b"file,label\ntrain/a/1.png,x\ntrain/b/2.png,y\ntest/b/3.png,y\n"
    assert "as one set" not in take({**files, "labels.csv": table})[1]


def test_parts_without_classes_give_no_label_and_it_is_said_what_to_do() -> None:
    files = {"train/1.png": picture(1), "test/2.png": picture(2)}
    good, said = take(files)
    assert [item.label for item in good.values()] == [None, None]
    assert "no label was taken from test and train" in said
    assert "one folder a class" in said
    assert "no label was taken" not in take({**files, "labels.csv": b"file,label\n1.png,x\n2.png,y\n"})[1]


def test_a_refused_table_leaves_no_label_and_no_patient() -> None:
    found = list(
        iter_intake(
            [("labels.csv", b"what\n"), ("a/p1/1.png", picture(1)), ("b/p2/2.png", picture(2))],
            key=KEY,
            reader=in_process(),
        )
    )
    good = [item for item in found if isinstance(item, LabelledScan)]
    assert [(item.label, item.scan.group_source) for item in good] == [(None, "file")] * 2


@pytest.mark.parametrize("packed", [False, True])
def test_files_that_are_no_scans_say_nothing_of_the_folders(packed: bool) -> None:
    scans = {f"{part}/{kind}/1.png": picture(shade) for shade, (part, kind) in enumerate(CORNERS)}
    other = {"docs/readme.txt": b"words", "benign/readme.txt": b"words"}
    uploads = {"all.zip": zipped({**scans, **other})} if packed else {**scans, **other}
    found = list(iter_intake(uploads.items(), key=KEY, reader=in_process()))
    good = {item.scan.file: item for item in found if isinstance(item, LabelledScan)}
    assert {name: item.label for name, item in good.items()} == {name: name.split("/")[1] for name in scans}
    assert {item.scan.group_source for item in good.values()} == {"file"}


def test_a_readme_beside_images_makes_no_patient_of_them() -> None:
    files = {
        "benign/images/1.png": picture(1),
        "malignant/images/2.png": picture(2),
        "benign/readme.txt": b"hi",
    }
    found = list(iter_intake(files.items(), key=KEY, reader=in_process()))
    assert [item.scan.group_source for item in found if isinstance(item, LabelledScan)] == ["file", "file"]
