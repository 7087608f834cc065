"""The de-identification report: what was kept, replaced and dropped, for whoever answers for data protection."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from medmeta import __version__
from medmeta.scans import confidentiality as profile
from medmeta.scans.scan import Intake

_TEMPLATES = Path(__file__).parent / "templates"
_PACKAGES = ("pydicom", "python-gdcm", "pylibjpeg-openjpeg", "pillow", "rapidocr", "onnxruntime")

#: Where a scan's patient is known from, in words.
SOURCES = {
    "PatientID": "Patient ID, replaced by a pseudonym",
    "StudyInstanceUID": "Study Instance UID, replaced by a pseudonym",
    "labels.csv": "a labels.csv, as it was given",
    "folder": "the folder of the patient, replaced by a pseudonym",
    "person": "entered by a person",
    "file": "nothing: the file counts as a patient of its own",
}


@dataclass(frozen=True)
class TextDecisions:
    """Scans by what is known of burned-in text.

    ``looked`` were searched by the recogniser; of these ``found`` had text, ``by_tags`` were flagged by their tags
    alone; of both ``kept``, ``blanked`` and ``removed`` were decided on by a person, ``waiting`` are left.
    """

    looked: int = 0
    found: int = 0
    by_tags: int = 0
    kept: int = 0
    blanked: int = 0
    removed: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class DeidentificationReport:
    """What the report says, counted; no value of any file is in it.

    Attributes:
        subject: name of the task, or of the folder or ZIP that was read.
        made: date and time, UTC, ISO 8601.
        scans: scans held; ``dicom`` of them came as DICOM.
        kept: how many scans hold each kept attribute, by keyword.
        patients: (source, scans, patients) for each way a patient is known.
        refused: files by reason.
        text: what is known of burned-in text.
        acts: (UTC time, act, scans) from the audit; empty outside a workspace.
        versions: software.
    """

    subject: str
    made: str
    scans: int
    dicom: int
    kept: Mapping[str, int]
    patients: tuple[tuple[str, int, int], ...]
    refused: Mapping[str, int]
    text: TextDecisions
    acts: tuple[tuple[str, str, int], ...]
    versions: Mapping[str, str]


def now() -> str:
    """This moment as the report writes it."""
    return stamp(datetime.now(UTC).timestamp())


def stamp(seconds: float) -> str:
    """Seconds since the epoch as UTC, ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """This program and what reads files for it."""
    found = {"medmeta": __version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def patients_by_source(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, int, int], ...]:
    """(source in words, scans, patients) from (group source, group) of each scan."""
    scans = Counter(source for source, _ in pairs)
    return tuple(
        (SOURCES.get(source, source), count, len({group for own, group in pairs if own == source}))
        for source, count in scans.most_common()
    )


def of_intake(
    found: Intake, subject: str, texts: Mapping[str, Sequence[object]] | None
) -> DeidentificationReport:
    """The report of files just read in the shell, where nobody decides about text.

    Args:
        found: what came in.
        subject: what was read, by name.
        texts: places of text by file; None where nobody looked.
    """
    scans = [item.scan for item in found.accepted]
    flagged = [bool(texts.get(scan.file)) for scan in scans] if texts is not None else []
    by_tags = sum(bool(scan.warnings) for scan in scans)
    waiting = sum(bool(scan.warnings) or (texts is not None and bool(texts.get(scan.file))) for scan in scans)
    return DeidentificationReport(
        subject=subject,
        made=now(),
        scans=len(scans),
        dicom=sum(scan.transfer_syntax is not None for scan in scans),
        kept=dict(Counter(keyword for scan in scans for keyword in scan.tags)),
        patients=patients_by_source([(scan.group_source, scan.group) for scan in scans]),
        refused=dict(Counter(rejection.reason for rejection in found.rejected)),
        text=TextDecisions(looked=len(flagged), found=sum(flagged), by_tags=by_tags, waiting=waiting),
        acts=(),
        versions=versions(),
    )


def as_json(report: DeidentificationReport) -> str:
    """The report for programs, with the tables of the profile it refers to."""
    content: dict[str, Any] = {
        "report": asdict(report),
        "standard": "DICOM PS3.15 Annex E",
        "clauses": [asdict(clause) for clause in profile.CLAUSES],
        "kept": [_attribute(each) for each in profile.KEPT],
        "replaced": [_attribute(each) for each in profile.REPLACED],
        "dropped": [_attribute(each) for each in profile.DROPPED],
        "dropped_kinds": [
            {"name": name, "tag": tag, "code": code} for name, tag, code in profile.DROPPED_KINDS
        ],
        "not_promised": list(profile.NOT_PROMISED),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def as_html(report: DeidentificationReport) -> str:
    """The report as one page that loads nothing and runs nothing."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("deidentification.html.j2").render(report=report, profile=profile)


def _attribute(attribute: profile.Attribute) -> dict[str, str]:
    return {
        "name": attribute.name,
        "keyword": attribute.keyword,
        "tag": attribute.tag,
        "code": attribute.code,
        "done": attribute.done,
    }
