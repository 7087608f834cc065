"""Files of one person under one group: studies and folders in which only some files name the patient."""

from __future__ import annotations

import io

import pytest
from dicom_files import KEY, dicom, gradient
from PIL import Image

from medmeta.scans.intake import iter_intake
from medmeta.scans.reader import in_process
from medmeta.scans.scan import LabelledScan, Scan

#: A scan of another class, so that the first folder is a class and the next a patient.
OTHER = {"other/p9/1": dicom(gradient() - 1, PatientID="9")}


def take(uploads: dict[str, bytes]) -> tuple[dict[str, Scan], str]:
    found = list(iter_intake(uploads.items(), key=KEY, reader=in_process()))
    good = {item.scan.file: item.scan for item in found if isinstance(item, LabelledScan)}
    assert len(good) == len(uploads)
    for name in OTHER:
        good.pop(name, None)
    return good, " | ".join(item for item in found if isinstance(item, str))


def image(value: int, patient: str = "", study: str = "", **tags: object) -> bytes:
    return dicom(gradient() + value, PatientID=patient, StudyInstanceUID=study, **tags)


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), shade).save(file, "PNG")
    return file.getvalue()


def test_studies_and_pictures_of_one_patient_folder_are_one_patient() -> None:
    good, said = take(
        {"a/p1/1": image(1, "", "1.1"), "a/p1/2": image(2, "", "1.2"), "a/p1/photo": picture(3)} | OTHER
    )
    assert len({scan.group for scan in good.values()}) == 1
    assert {scan.group_source for scan in good.values()} == {"folder"}
    assert "two patients" not in said


def test_one_study_in_two_folders_is_one_patient() -> None:
    good, said = take(
        {"a/p1/1": image(1, "", "1.1"), "b/p2/2": image(2, "", "1.1"), "b/p2/3": picture(3)} | OTHER
    )
    assert len({scan.group for scan in good.values()}) == 1
    assert "two patients" not in said


def test_the_only_patient_id_of_a_folder_is_that_of_its_other_files() -> None:
    files = {
        "a/p1/a photo": picture(1),
        "a/p1/x": image(2, "77"),
        "b/p2/y": image(3, "78"),
        "b/p2/z": picture(4),
    }
    good, said = take(files)
    assert good["a/p1/a photo"].group == good["a/p1/x"].group == take({"x": files["a/p1/x"]})[0]["x"].group
    assert good["b/p2/y"].group == good["b/p2/z"].group != good["a/p1/x"].group
    assert "two patients" not in said
    assert "nothing else names" not in said


def test_a_folder_of_several_patient_ids_is_no_guess_but_a_sentence() -> None:
    good, said = take({"a/p1/x": image(1, "77"), "a/p1/y": image(2, "78"), "a/p1/z": picture(3)} | OTHER)
    assert len({scan.group for scan in good.values()}) == 3
    assert "a/p1/x and a/p1/y lie in one folder that stands for a patient" in said
    assert "two patients" not in take({"a/p1/x": image(1, "77"), "a/p1/y": image(2, "78")} | OTHER)[1]


@pytest.mark.parametrize("first", ["77", ""])
def test_a_study_is_of_one_patient(first: str) -> None:
    late = "77" if not first else ""
    good, said = take({"1": image(1, first, "1.1"), "2": image(2, late, "1.1"), "3": image(3, "", "1.2")})
    assert good["3"].group not in (good["1"].group, good["2"].group)
    joined = good["1"].group == good["2"].group
    assert joined == bool(first)
    assert ("1 and 2 are of one study" in said) is not joined


def test_an_issuer_in_some_files_of_a_study_is_named() -> None:
    _, said = take({"1": image(1, "77", "1.1"), "2": image(2, "77", "1.1", IssuerOfPatientID="clinic B")})
    assert "1 and 2 are of one study" in said
    assert "labels.csv" in said
