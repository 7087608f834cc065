"""DICOM objects read again by the library, by DCMTK and by dicom3tools: the same figures, nothing that identifies."""

from __future__ import annotations

import io
import math
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom
import pytest

from medmeta import __version__
from medmeta.evaluation.further import further_figures
from medmeta.evaluation.result import Evaluation
from medmeta.reports.dicom import ScanAnswer, answers_dicom, evaluation_dicom, summary_page
from medmeta.reports.dicom_parts import concept, cut, uid

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="module")
def evaluation(build_evaluation_module: Callable[..., Evaluation]) -> Evaluation:
    plain = build_evaluation_module(patients=6)
    return replace(
        plain,
        further=further_figures(plain.cases, plain.classes, seed=0),
        provenance={**plain.provenance, "weights": ["medmeta " + "ab" * 32]},
    )


@pytest.fixture(scope="module")
def files(evaluation: Evaluation) -> dict[str, bytes]:
    answers = [
        ScanAnswer(
            "1" * 64, "P-0123456789", "normal", ("normal", "Größe 正常"), (0.75, 0.25), False, 1.5, CT
        ),
        ScanAnswer("2" * 64, "P-0123456789", "normal", ("normal", "Größe 正常"), (0.6, 0.4), True, 0.5, CT),
        ScanAnswer(
            "3" * 64, "CANARY^Name/IM1", "Größe 正常", ("normal", "Größe 正常"), (0.1, 0.9), False, 1.0
        ),
    ]
    return {**evaluation_dicom(evaluation), **answers_dicom(answers, "medmeta", NOW)}


def read(content: bytes) -> Any:
    return hd.sr.srread(io.BytesIO(content))


def groups(report: Any) -> list[Any]:
    return list(report.content.get_image_measurement_groups())


def numbers(group: Any) -> dict[str, float]:
    return {item.name.meaning: item.value for item in group.get_measurements()}


def answers_of(group: Any) -> dict[str, str]:
    return {item.name.meaning: item.value.meaning for item in group.get_qualitative_evaluations()}


def test_the_report_holds_every_figure(evaluation: Evaluation, files: dict[str, bytes]) -> None:
    found = groups(read(files["report.dcm"]))
    assert len(found) == 1 + len(evaluation.classes) + len(evaluation.cases)
    overall, count = numbers(found[0]), evaluation.patients
    assert (overall["patients right"], overall["patients tested"]) == (count.correct, count.n)
    assert overall["share of patients right"] == pytest.approx(count.rate)
    assert overall["share of patients right, low end of the 95 % interval"] == pytest.approx(
        count.interval.low
    )
    assert overall["share of patients right, high end of the 95 % interval"] == pytest.approx(
        count.interval.high
    )
    assert overall["share of scans right"] == pytest.approx(evaluation.accuracy)
    assert overall["balanced accuracy, all classes"] == pytest.approx(evaluation.balanced_accuracy)
    assert overall["AUROC, mean one-vs-rest"] == pytest.approx(evaluation.auroc)
    given = [figure for figure in evaluation.further if figure.value is not None]
    assert given
    for figure in given:
        place = 0 if not figure.of else 1 + evaluation.classes.index(figure.of)
        assert numbers(found[place])[cut(figure.name)] == pytest.approx(figure.value)
    for group, figures in zip(found[1:], evaluation.per_class, strict=False):
        assert group.finding_type.meaning == cut(figures.label)
        shown = numbers(group)
        assert shown["sensitivity"] == pytest.approx(figures.sensitivity)
        assert shown["specificity"] == pytest.approx(figures.specificity)
        assert figures.sensitivity_interval is not None
        assert shown["sensitivity, low end of the 95 % interval"] == pytest.approx(
            figures.sensitivity_interval.low
        )
    for group, case in zip(found[1 + len(evaluation.classes) :], evaluation.cases, strict=True):
        chances = list(numbers(group).values())
        assert chances[:-1] == pytest.approx(case.probabilities)
        assert math.isclose(chances[-1], case.out_of_domain, rel_tol=1e-9)
        said = answers_of(group)
        assert said["reference label"] == cut(case.label)
        assert said["answer of the model"] == cut(case.predicted)
        assert said["declined"] == ("yes" if case.abstained else "no")


def test_every_object_names_model_version_and_research_use(
    evaluation: Evaluation, files: dict[str, bytes]
) -> None:
    for name, content in files.items():
        dataset = pydicom.dcmread(io.BytesIO(content))
        assert dataset.SoftwareVersions == __version__
        assert "research use only" in dataset.SeriesDescription
        ours = [
            e
            for e in dataset.ContributingEquipmentSequence
            if "Research use only" in e.ContributionDescription
        ]
        assert [(e.Manufacturer, e.SoftwareVersions) for e in ours] == [("MedMeta", __version__)]
        assert dataset.SOPInstanceUID.startswith(pydicom.uid.PYDICOM_ROOT_UID)
        if name == "summary.dcm":
            assert "Research use only" in dataset.ImageComments
            continue
        assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
        text = str(dataset)
        assert "research use only, not for diagnosis" in text
        assert "Algorithm Version" in text
    assert b"weights medmeta abab" in files["report.dcm"]


def test_the_report_refers_to_its_picture_and_the_picture_is_the_page(
    evaluation: Evaluation, files: dict[str, bytes]
) -> None:
    picture = pydicom.dcmread(io.BytesIO(files["summary.dcm"]))
    report = pydicom.dcmread(io.BytesIO(files["report.dcm"]))
    assert picture.StudyInstanceUID == report.StudyInstanceUID
    referred = (
        report.CurrentRequestedProcedureEvidenceSequence[0]
        .ReferencedSeriesSequence[0]
        .ReferencedSOPSequence[0]
    )
    assert referred.ReferencedSOPInstanceUID == picture.SOPInstanceUID
    assert (picture.pixel_array == summary_page(evaluation)).all()
    assert picture.pixel_array.std() > 2  # not a blank page


def test_answers_are_one_report_a_patient_with_derived_references(files: dict[str, bytes]) -> None:
    assert [name for name in files if name.startswith("answers")] == ["answers-001.dcm", "answers-002.dcm"]
    first, second = (read(files[f"answers-00{n}.dcm"]) for n in (1, 2))
    assert (first.PatientID, len(groups(first)), len(groups(second))) == ("P-0123456789", 2, 1)
    shown = numbers(groups(first)[0])
    assert shown["probability of normal"] == pytest.approx(0.75)
    assert shown["probability of Größe 正常"] == pytest.approx(0.25)
    assert answers_of(groups(second)[0])["answer of the model"] == "Größe 正常"
    assert [answers_of(group)["declined"] for group in groups(first)] == ["no", "yes"]
    sources = groups(first)[0].source_images
    assert sources[0].referenced_sop_class_uid == CT
    assert sources[0].referenced_sop_instance_uid == uid("image", "1" * 64)


def test_nothing_that_identifies_and_no_file_name(evaluation: Evaluation, files: dict[str, bytes]) -> None:
    for content in files.values():
        assert b"CANARY" not in content
        assert b"IM000" not in content
    assert str(read(files["answers-002.dcm"]).PatientID).startswith("G-")


def test_the_same_evaluation_gives_the_same_files(evaluation: Evaluation, files: dict[str, bytes]) -> None:
    assert evaluation_dicom(evaluation) == {name: files[name] for name in ("summary.dcm", "report.dcm")}
    other = evaluation_dicom(replace(evaluation, accuracy=evaluation.accuracy - 0.1))
    assert read(other["report.dcm"]).SOPInstanceUID != read(files["report.dcm"]).SOPInstanceUID


def test_codes_fit_dicom_and_stay_apart() -> None:
    long = [f"{'sehr große Läsion ' * 5}{n}" for n in range(3)]
    for text in (*long, "a\\b\n c", "正" * 40):
        assert len(cut(text).encode()) <= 64
        assert "\\" not in cut(text)
        assert len(concept(text).value) == 16
    assert len({concept(text).value for text in long}) == 3


@pytest.mark.skipif(
    shutil.which("dsrdump") is None, reason="DCMTK IS NOT INSTALLED: reports not read by dsrdump"
)
def test_dcmtk_reads_the_reports(evaluation: Evaluation, files: dict[str, bytes], tmp_path: Path) -> None:
    for name in ("report.dcm", "answers-001.dcm"):
        (tmp_path / name).write_bytes(files[name])
        done = subprocess.run(
            ["dsrdump", "+Pl", str(tmp_path / name)], capture_output=True, text=True, check=True
        )
        assert "Imaging Measurement Report" in done.stdout
        assert not [line for line in done.stderr.splitlines() if line.startswith("E:")]
    dump = subprocess.run(
        ["dsrdump", "+Pl", str(tmp_path / "report.dcm")], capture_output=True, text=True, check=True
    ).stdout
    line = next(line for line in dump.splitlines() if '"share of patients right")' in line)
    assert float(line.split('="')[1].split('"')[0]) == pytest.approx(evaluation.patients.rate)


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="DICOM3TOOLS IS NOT INSTALLED: objects not validated"
)
def test_the_validator_finds_no_error(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        done = subprocess.run(["dciodvfy", str(tmp_path / name)], capture_output=True, text=True, check=False)
        told = (done.stdout + done.stderr).splitlines()
        assert [line for line in told if line.startswith("Error")] == []
        assert any(line in {"SCImage", "ComprehensiveSR"} for line in told)
    # The validator is one: without its Patient's Name a report is refused.
    broken = pydicom.dcmread(io.BytesIO(files["report.dcm"]))
    del broken.PatientName
    broken.save_as(tmp_path / "broken.dcm")
    done = subprocess.run(
        ["dciodvfy", str(tmp_path / "broken.dcm")], capture_output=True, text=True, check=False
    )
    assert "Error" in done.stdout + done.stderr
