"""Nothing that could name a person gets through, from made-up and from real files."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import logging
import stat
import threading

import pytest
from dicom_files import KEY, dicom, gradient
from pydicom.dataset import Dataset

from medmeta.errors import MedMetaError
from medmeta.scans.deidentify import (
    PERMITTED_TAGS,
    load_or_create_key,
    patient_group,
    permitted_tags,
    pseudonym,
)
from medmeta.scans.dicom import read_dicom
from medmeta.scans.display import thumbnail
from medmeta.scans.intake import read_source
from medmeta.scans.reader import in_process
from medmeta.scans.scan import Scan


def everything(scan: Scan) -> str:
    fields = {
        field.name: getattr(scan, field.name) for field in dataclasses.fields(scan) if field.name != "pixels"
    }
    return repr(fields) + repr(scan)


def test_only_permitted_tags_with_defined_terms_pass() -> None:
    scan = read_dicom(
        dicom(
            gradient(),
            PatientName="CANARY^JOHN",
            PatientID="CANARY 7",
            PatientBirthDate="19010203",
            InstitutionName="CANARY CLINIC",
            Manufacturer="CANARY WORKS",
            ProtocolName="CANARY",
            StudyDate="20200101",
            Modality="CANARY",
            BodyPartExamined="CANARY DOE",
            ViewPosition="CANARY",
            Laterality="CANARY",
            RescaleSlope=1,
            RescaleIntercept=0,
            RescaleType="CANARY",
        ),
        "IM1",
        key=KEY,
    )
    assert set(scan.tags) <= set(PERMITTED_TAGS)
    text = everything(scan)
    assert "CANARY" not in text
    assert "1901" not in text
    assert "2020" not in text
    assert scan.unit == ""


def test_numbers_are_numbers() -> None:
    made = Dataset()
    made.Rows, made.KVP, made.PixelSpacing = 7, "120.5", ["0.5", "0.25"]
    made.SOPClassUID = "1.2.3.4"
    assert permitted_tags(made) == {"Rows": 7, "KVP": 120.5, "PixelSpacing": "0.5\\0.25"}


def test_pseudonym_is_a_keyed_hash() -> None:
    expected = hmac.new(KEY, b"PatientID\0anna", hashlib.sha256).hexdigest()[:10]
    assert pseudonym(KEY, "PatientID", "anna") == f"P-{expected}"
    assert pseudonym(bytes(32), "PatientID", "anna") != f"P-{expected}"
    assert pseudonym(KEY, "StudyInstanceUID", "anna") != f"P-{expected}"
    with pytest.raises(ValueError, match="32"):
        pseudonym(b"short", "PatientID", "anna")


def test_group_of_a_patient() -> None:
    made = Dataset()
    assert patient_group(made, KEY) is None
    made.StudyInstanceUID = "1.2.3"
    assert patient_group(made, KEY) == (pseudonym(KEY, "StudyInstanceUID", "1.2.3"), "StudyInstanceUID")
    made.PatientID = " 7 "
    here = patient_group(made, KEY)
    made.IssuerOfPatientID = "clinic B"
    there = patient_group(made, KEY)
    assert here is not None
    assert there is not None
    assert here[1] == there[1] == "PatientID"
    assert here[0] != there[0]


def test_one_identifier_in_two_spellings_of_unicode_is_one_patient() -> None:
    made, same = Dataset(), Dataset()
    made.PatientID, same.PatientID = "J\u00f6s1", "Jo\u0308s1"
    made.IssuerOfPatientID, same.IssuerOfPatientID = "Klinik K\u00f6ln", "Klinik Ko\u0308ln"
    assert patient_group(made, KEY) == patient_group(same, KEY)


def test_file_without_patient_is_its_own_group() -> None:
    scan = read_dicom(dicom(gradient(), PatientID=""), "IM1", key=KEY)
    assert (scan.group, scan.group_source) == (f"file-{scan.id[:12]}", "file")


def test_key_is_made_once_and_private(tmp_path) -> None:
    path = tmp_path / "state" / "key"
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda: made.append(load_or_create_key(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert set(made) == {path.read_bytes()}
    assert len(made[0]) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["key"]
    path.write_bytes(b"short")
    with pytest.raises(MedMetaError, match="32"):
        load_or_create_key(path)


@pytest.mark.parametrize(("name", "count"), [("kermany_cxr_dicom", 120), ("lc25000_lung_dicom", 72)])
def test_real_scans_leave_no_canary(shared_data, name: str, count: int, caplog, capfd) -> None:
    caplog.set_level(logging.DEBUG)
    intake = read_source(shared_data / "dicom" / f"{name}.zip", key=KEY, reader=in_process())
    assert (len(intake.accepted), intake.rejected, intake.warnings) == (count, (), ())
    said = "".join(everything(item.scan) + repr(item.label) for item in intake.accepted)
    said += repr(intake) + caplog.text + "".join(capfd.readouterr())
    assert "CANARY" not in said
    assert "1901" not in "".join(repr(dict(item.scan.tags)) for item in intake.accepted)
    assert b"CANARY" not in b"".join(thumbnail(item.scan) for item in intake.accepted[:20])


def test_real_patients_without_labels_csv(shared_data, tmp_path) -> None:
    import zipfile

    with zipfile.ZipFile(shared_data / "dicom" / "kermany_cxr_dicom.zip") as archive:
        names = [name for name in archive.namelist() if name != "labels.csv"][::12]
        archive.extractall(tmp_path, names)
    intake = read_source(tmp_path, key=KEY, reader=in_process())
    assert {item.scan.group_source for item in intake.accepted} == {"PatientID"}
    assert "CANARY" not in repr(intake) + "".join(everything(item.scan) for item in intake.accepted)
    assert {item.label for item in intake.accepted} == {name.split("/")[0] for name in names}
