"""An evaluation, and answers about new scans, as DICOM objects: research use only, stamped with the model's version.

All are Comprehensive SR after TID 1500 (Measurement Report): it is the template that viewers and archives read, it
groups numbers with the images they are about, and it names the algorithm (TID 4019). A Secondary Capture shows the
report's first page to those that cannot.

A scan is de-identified as it is read, and its SOP Instance UID is not kept. References to a scan therefore carry a UID
derived from the hash of its pixels: the same scan always has the same one, but no archive holds an image under it.
Numbers and labels are in the report itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pypdfium2
from highdicom.sr import (
    AlgorithmIdentification,
    MeasurementsAndQualitativeEvaluations,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, SecondaryCaptureImageStorage

from medmeta.evaluation.result import Case, ClassFigures, Evaluation
from medmeta.evaluation.serialise import to_json
from medmeta.learners.cards import weight_lines
from medmeta.learners.titles import learner_title
from medmeta.reports import dicom_parts as parts
from medmeta.reports.pdf import pdf_summary

#: Who an evaluation is "of": many patients, so none of them.
COHORT = ("MEDMETA-EVALUATION", "MedMeta^Evaluation")
#: Dots per PDF point of the summary page: 1190 x 1684 pixels.
SCALE = 2.0


@dataclass(frozen=True)
class ScanAnswer:
    """What a model said about one new scan; ``sop_class`` is the scan's own where it was DICOM."""

    scan_id: str
    group: str
    label: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    abstained: bool
    out_of_domain: float
    sop_class: str | None = None


def evaluation_dicom(evaluation: Evaluation) -> dict[str, bytes]:
    """``report.dcm``, a Structured Report with every figure, and ``summary.dcm``, the first page as a picture.

    The same evaluation gives the same files. The report refers to the picture, not to scans: they are of many
    patients, and a Structured Report is of one.
    """
    key = hashlib.sha256(json.dumps(to_json(evaluation), sort_keys=True).encode()).hexdigest()
    when = _moment(str(evaluation.provenance.get("date", "")))
    page = parts.secondary_capture(summary_page(evaluation), COHORT, [key], when)
    algorithm = parts.algorithm(
        learner_title(evaluation.learner), [str(line) for line in evaluation.provenance.get("weights", ())]
    )
    groups = [
        _overall(evaluation, algorithm),
        *(_class(figures, evaluation, algorithm) for figures in evaluation.per_class),
        *(
            _case(case, number, evaluation, algorithm)
            for number, case in enumerate(evaluation.cases, start=1)
        ),
    ]
    report = parts.structured_report([page], parts.measurement_report(groups), [key], when)
    return {"summary.dcm": parts.written(page), "report.dcm": parts.written(report)}


def answers_dicom(answers: Sequence[ScanAnswer], learner: str, now: datetime) -> dict[str, bytes]:
    """A Structured Report for each patient with new scans, by file name."""
    when = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    weights = weight_lines(learner)
    algorithm = parts.algorithm(learner_title(learner), weights)
    by_patient: dict[str, list[ScanAnswer]] = defaultdict(list)
    for answer in answers:
        by_patient[answer.group].append(answer)
    found = {}
    for number, (group, own) in enumerate(by_patient.items(), start=1):
        groups = [_answer(answer, place, algorithm) for place, answer in enumerate(own, start=1)]
        said = json.dumps([vars(answer) for answer in own], sort_keys=True)
        evidence = [_evidence(answer, place, when) for place, answer in enumerate(own, start=1)]
        report = parts.structured_report(
            evidence, parts.measurement_report(groups), [group, said, now.isoformat()], when
        )
        found[f"answers-{number:03d}.dcm"] = parts.written(report)
    return found


def summary_page(evaluation: Evaluation) -> NDArray[np.uint8]:
    """The first page of the PDF report, ``(rows, columns, 3)`` uint8 RGB."""
    document = pypdfium2.PdfDocument(pdf_summary(evaluation))
    try:
        picture: NDArray[np.uint8] = (
            document[0].render(scale=SCALE, rev_byteorder=True).to_numpy()[..., :3].copy()
        )
    finally:
        document.close()
    return picture


def _overall(
    evaluation: Evaluation, algorithm: AlgorithmIdentification
) -> MeasurementsAndQualitativeEvaluations:
    count = evaluation.patients
    measurements = [
        parts.number("patients right", count.correct, "patients"),
        parts.number("patients tested", count.n, "patients"),
        *parts.share("share of patients right", count.rate, count.interval),
        *parts.share("share of scans right", evaluation.accuracy, evaluation.interval),
        *parts.share("balanced accuracy, all classes", evaluation.balanced_accuracy),
        *parts.share("AUROC, mean one-vs-rest", evaluation.auroc),
        *_further(evaluation, ""),
    ]
    return MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(parts.uid("all", evaluation.task), parts.cut(f"All of: {evaluation.task}")),
        algorithm_id=algorithm,
        measurements=measurements,
        qualitative_evaluations=[parts.intended_use(), parts.evaluation_of("tested by", evaluation.protocol)],
    )


def _class(
    figures: ClassFigures, evaluation: Evaluation, algorithm: AlgorithmIdentification
) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(
            parts.uid("class", evaluation.task, figures.label), parts.cut(f"Class: {figures.label}")
        ),
        finding_type=parts.concept(figures.label),
        algorithm_id=algorithm,
        measurements=[
            parts.number("patients of the class", figures.n_groups, "patients"),
            parts.number("scans of the class", figures.n_scans, "scans"),
            *parts.share("sensitivity", figures.sensitivity, figures.sensitivity_interval),
            *parts.share("specificity", figures.specificity, figures.specificity_interval),
            *_further(evaluation, figures.label),
        ],
        qualitative_evaluations=[parts.intended_use()],
    )


def _further(evaluation: Evaluation, label: str) -> Iterator[Any]:
    for figure in evaluation.further:
        if figure.of == label:
            yield from parts.share(figure.name, figure.value, figure.interval)


def _case(
    case: Case, number: int, evaluation: Evaluation, algorithm: AlgorithmIdentification
) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(parts.uid("scan", case.scan_id), f"scan-{number:03d}"),
        algorithm_id=algorithm,
        measurements=_chances(evaluation.classes, case.probabilities, case.out_of_domain),
        qualitative_evaluations=[
            parts.evaluation_of("reference label", case.label),
            parts.evaluation_of("answer of the model", case.predicted),
            parts.evaluation_of("declined", "yes" if case.abstained else "no"),
        ],
    )


def _answer(
    answer: ScanAnswer, number: int, algorithm: AlgorithmIdentification
) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        TrackingIdentifier(parts.uid("scan", answer.scan_id), f"scan-{number:03d}"),
        algorithm_id=algorithm,
        measurements=_chances(answer.classes, answer.probabilities, answer.out_of_domain),
        qualitative_evaluations=[
            parts.intended_use(),
            parts.evaluation_of("answer of the model", answer.label),
            parts.evaluation_of("declined", "yes" if answer.abstained else "no"),
        ],
        source_images=[
            SourceImageForMeasurementGroup(_sop_class(answer), parts.uid("image", answer.scan_id))
        ],
    )


def _chances(classes: Sequence[str], probabilities: Sequence[float], distance: float) -> list[Any]:
    chances = zip(classes, probabilities, strict=True)
    measurements = [m for label, p in chances for m in parts.share(f"probability of {label}", p)]
    return [*measurements, *parts.share("distance from the support, 1 is usual", distance)]


def _evidence(answer: ScanAnswer, number: int, when: tuple[str, str]) -> Dataset:
    """A scan as an SR refers to it: a derived UID, the pseudonym, and nothing else that is known."""
    scan = Dataset()
    scan.SOPClassUID = _sop_class(answer)
    scan.SOPInstanceUID = parts.uid("image", answer.scan_id)
    scan.StudyInstanceUID = parts.uid("study of", answer.group)
    scan.SeriesInstanceUID = parts.uid("series of", answer.group)
    scan.InstanceNumber = number
    # Other groups are words of the person (a file name, a column of labels.csv) and stay out of the object.
    pseudonym = re.fullmatch(r"P-[0-9a-f]{10}", answer.group) is not None
    scan.PatientID = answer.group if pseudonym else f"G-{parts.digest(answer.group)}"
    scan.PatientName = f"MedMeta^{scan.PatientID}"
    scan.PatientBirthDate = scan.PatientSex = scan.AccessionNumber = scan.StudyID = ""
    scan.ReferringPhysicianName = ""
    scan.StudyDate, scan.StudyTime = when
    return scan


def _sop_class(answer: ScanAnswer) -> UID:
    return UID(answer.sop_class) if answer.sop_class else SecondaryCaptureImageStorage


def _moment(text: str) -> tuple[str, str]:
    """Date and time (DA, TM) of an evaluation; one without a date gets the first day DICOM files of ours can have."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime(2000, 1, 1, tzinfo=UTC)
    return moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
