"""What every DICOM object of the workbench shares: who made it, private codes, derived UIDs, measurements.

Concepts of an evaluation (sensitivity, its limits, a task's own labels, ...) have no code in the standard's context
groups, so they are coded under the private scheme `SCHEME`: the code is the start of the meaning's SHA-256, so a
meaning always has the same code. Units are UCUM's, roles and titles DICOM's own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless, generate_uid

from medmeta import __version__
from medmeta.evaluation.result import Interval
from medmeta.notice import RESEARCH_USE_ONLY

MANUFACTURER, MODEL = "MedMeta", "MedMeta Workbench"
SCHEME = "99MEDMETA"
#: LO values and code meanings hold this many characters (PS3.5 6.2).
LONG_STRING = 64
_NO_UNITS = CodedConcept("1", "UCUM", "no units")


def uid(*parts: str) -> UID:
    """A UID under pydicom's root that the same parts always give; it is nobody else's, and names nothing."""
    return generate_uid(entropy_srcs=["medmeta", *parts])


def concept(meaning: str) -> CodedConcept:
    """A private code; meanings too long for DICOM are cut, their code is still of the whole."""
    return CodedConcept(digest(meaning), SCHEME, cut(meaning))


def digest(text: str) -> str:
    """The start of the text's SHA-256, 16 hex digits: all an SH value may hold."""
    return hashlib.sha256(text.encode()).hexdigest()[:16].upper()


def cut(text: str) -> str:
    """``text`` as an LO value: one line, no backslash, at most 64 bytes, which some readers count for characters."""
    line = " ".join(text.replace("\\", "/").split())
    encoded = line.encode()
    if len(encoded) <= LONG_STRING:
        return line
    return encoded[: LONG_STRING - 3].decode(errors="ignore") + "…"


def share(name: str, value: float | None, interval: Interval | None = None) -> Iterator[Measurement]:
    """A figure without unit and, where it has them, the limits of its 95 % interval; nothing where there is none."""
    if value is None:
        return
    yield Measurement(concept(name), float(value), _NO_UNITS)
    if interval is not None:
        yield Measurement(concept(f"{name}, low end of the 95 % interval"), interval.low, _NO_UNITS)
        yield Measurement(concept(f"{name}, high end of the 95 % interval"), interval.high, _NO_UNITS)


def number(name: str, value: int, of: str) -> Measurement:
    """A count of patients or scans."""
    return Measurement(concept(name), value, CodedConcept(f"{{{of}}}", "UCUM", of))


def evaluation_of(name: str, meaning: str) -> QualitativeEvaluation:
    return QualitativeEvaluation(concept(name), concept(meaning))


def intended_use() -> QualitativeEvaluation:
    return QualitativeEvaluation(concept("intended use"), concept("research use only, not for diagnosis"))


def algorithm(learner: str, weights: Sequence[str]) -> AlgorithmIdentification:
    """TID 4019: name and version of the method, its weights by hash as parameters."""
    return AlgorithmIdentification(
        cut(learner),
        __version__,
        parameters=[f"weights {line}" for line in weights] or None,
        manufacturer=MANUFACTURER,
    )


def measurement_report(groups: Sequence[MeasurementsAndQualitativeEvaluations]) -> MeasurementReport:
    """TID 1500, said by a device."""
    device = DeviceObserverIdentifyingAttributes(
        uid=uid("device", __version__), name=MODEL, manufacturer_name=MANUFACTURER, model_name=MODEL
    )
    return MeasurementReport(
        ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device)),
        procedure_reported=CodedConcept("363679005", "SCT", "Imaging procedure"),
        imaging_measurements=list(groups),
        title=codes.DCM.ImagingMeasurementReport,
    )


def structured_report(
    evidence: Sequence[Dataset], report: MeasurementReport, parts: Sequence[str], when: tuple[str, str]
) -> Dataset:
    """A Comprehensive SR of a measurement report, complete, not verified by a person.

    Args:
        evidence: what it refers to; patient and study are theirs.
        parts: what its UIDs are derived from.
        when: date and time (DA, TM) of its content.
    """
    made: Dataset = hd.sr.ComprehensiveSR(
        evidence=list(evidence),
        content=report[0],
        series_instance_uid=uid("sr series", *parts),
        series_number=2,
        sop_instance_uid=uid("sr", *parts),
        instance_number=1,
        is_complete=True,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **_shared(when),
    )
    _stamp(made, when)
    return made


def secondary_capture(
    picture: NDArray[np.uint8], patient: tuple[str, str], parts: Sequence[str], when: tuple[str, str]
) -> Dataset:
    """A page as a picture.

    Args:
        picture: ``(rows, columns, 3)`` uint8 RGB.
        patient: Patient ID and Patient's Name.
        parts: what its UIDs are derived from.
        when: date and time (DA, TM) of its content.
    """
    made: Dataset = hd.sc.SCImage(
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=uid("study", *parts),
        series_instance_uid=uid("sc series", *parts),
        series_number=1,
        sop_instance_uid=uid("sc", *parts),
        instance_number=1,
        patient_id=patient[0],
        patient_name=patient[1],
        patient_orientation=("L", "F"),
        study_date=when[0],
        study_time=when[1],
        transfer_syntax_uid=RLELossless,
        **_shared(when),
    )
    # A page of text has no left and right of a patient.
    made.PatientOrientation = made.Laterality = None
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "NO"
    made.ImageComments = RESEARCH_USE_ONLY
    made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = when
    _stamp(made, when)
    return made


def written(dataset: Dataset) -> bytes:
    """The object as a DICOM file."""
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _shared(when: tuple[str, str]) -> dict[str, Any]:
    """Arguments of both kinds of object: who made it, and that it is for research."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MODEL,
        "software_versions": __version__,
        "device_serial_number": "0",
        "series_description": "MedMeta, research use only",
        "specific_character_set": "ISO_IR 192",
        "content_date": when[0],
        "content_time": when[1],
        "series_date": when[0],
        "series_time": when[1],
        "contributing_equipment": [
            hd.ContributingEquipment(
                MANUFACTURER,
                codes.DCM.ProcessingEquipment,
                manufacturer_model_name=MODEL,
                software_versions=__version__,
                contribution_description=RESEARCH_USE_ONLY,
            )
        ],
    }


def _stamp(made: Dataset, when: tuple[str, str]) -> None:
    """What the library leaves out, or sets to this moment."""
    made.InstanceCreationDate, made.InstanceCreationTime = when
    made.StudyID = "1"
    for equipment in made.ContributingEquipmentSequence:
        equipment.ContributionDateTime = "".join(when)
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = "Allow-list of technical tags; patient under a keyed pseudonym"
    scheme = Dataset()
    scheme.CodingSchemeDesignator = SCHEME
    scheme.CodingSchemeName = "MedMeta Workbench, private"
    scheme.CodingSchemeResponsibleOrganization = MANUFACTURER
    made.CodingSchemeIdentificationSequence = [scheme]
