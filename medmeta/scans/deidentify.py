"""De-identification by allow-list: what is not named here never leaves the DICOM file.

The Basic Application Level Confidentiality Profile (PS3.15 Annex E, table E.1-1) lists what to remove;
new, private and misused tags are in no such list. So the rule is turned round: twenty technical tags may
pass, each cut to a number or to a defined term, and the patient becomes a keyed pseudonym. Names, dates,
identifiers, UIDs of instances, makers, descriptions and private tags are never copied.

The name of an uploaded file is the person's own and is kept as it is.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from pydicom.dataset import Dataset

from medmeta.errors import MedMetaError
from medmeta.scans import terms
from medmeta.scans.attributes import attribute, registered
from medmeta.scans.scan import TagValue

KEY_BYTES = 32


def _one_of(vocabulary: frozenset[str]) -> Callable[[object], TagValue]:
    def clean(value: object) -> TagValue:
        text = str(value).strip().upper()
        return text if text in vocabulary else None

    return clean


def _number(value: object) -> TagValue:
    try:
        number = float(str(value))
    except ValueError:
        return None
    if not math.isfinite(number) or abs(number) > 1e9:
        return None
    return int(number) if number.is_integer() else number


def _numbers(count: int) -> Callable[[object], TagValue]:
    def clean(value: object) -> TagValue:
        parts = [_number(part) for part in value] if _many(value) else []  # type: ignore[attr-defined]
        return (
            "\\".join(f"{part:.9g}" for part in parts) if len(parts) == count and None not in parts else None
        )

    return clean


def _some_of(vocabulary: frozenset[str]) -> Callable[[object], TagValue]:
    def clean(value: object) -> TagValue:
        written = [str(part).strip().upper() for part in (value if _many(value) else (value,))]  # type: ignore[attr-defined]
        return "\\".join(word for word in written if word in vocabulary) or None

    return clean


def _sop_class(value: object) -> TagValue:
    uid = str(value)
    return uid if registered(uid)[0] == "SOP Class" else None


def _many(value: object) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str)


#: DICOM keyword -> how its value is cut to something safe; None drops it. PS3.15 Annex E removes none of
#: these twenty, and each is read by the model's description, the viewer, the order of slices or the quality checks.
PERMITTED_TAGS: Mapping[str, Callable[[object], TagValue]] = MappingProxyType(
    {
        "SOPClassUID": _sop_class,
        "Modality": _one_of(terms.MODALITIES),
        "BodyPartExamined": _one_of(terms.BODY_PARTS),
        "ViewPosition": _one_of(terms.VIEWS),
        "Laterality": _one_of(terms.LATERALITIES),
        "ImageLaterality": _one_of(terms.LATERALITIES),
        "PhotometricInterpretation": _one_of(terms.PHOTOMETRIC),
        "Rows": _number,
        "Columns": _number,
        "NumberOfFrames": _number,
        "BitsStored": _number,
        "PixelSpacing": _numbers(2),
        "ImagerPixelSpacing": _numbers(2),
        "SliceThickness": _number,
        "KVP": _number,
        "MagneticFieldStrength": _number,
        "ImagePositionPatient": _numbers(3),
        "ImageOrientationPatient": _numbers(6),
        "InstanceNumber": _number,
        "ImageType": _some_of(terms.IMAGE_TYPES),
    }
)


def permitted_tags(dataset: Dataset) -> dict[str, TagValue]:
    """The permitted tags of a data set that hold a safe value; everything else is left behind."""
    kept: dict[str, TagValue] = {}
    for keyword, clean in PERMITTED_TAGS.items():
        value = attribute(dataset, keyword)
        cleaned = None if value is None else clean(value)
        if cleaned is not None:
            kept[keyword] = cleaned
    return kept


def pseudonym(key: bytes, kind: str, value: str) -> str:
    """``P-`` and ten hex digits of HMAC-SHA256 (RFC 2104) over what the value is and the value.

    Without the key nobody can try out identifiers, and equal values get equal pseudonyms only under the
    same key and kind.

    Raises:
        ValueError: the key is shorter than `KEY_BYTES`.
    """
    if len(key) < KEY_BYTES:
        raise ValueError(f"a pseudonym key must have at least {KEY_BYTES} bytes, found {len(key)}")
    digest = hmac.new(key, f"{kind}\0{value}".encode(), hashlib.sha256)
    return f"P-{digest.hexdigest()[:10]}"


def patient_group(dataset: Dataset, key: bytes) -> tuple[str, str] | None:
    """Group of a scan and the tag it comes from, or None when the file names no patient.

    A Patient ID is unique only beside its issuer, so both go into the pseudonym (PS3.3 C.7.1.1), in NFC, as
    systems write one letter in one or two characters. Where
    the Patient ID is empty, the study stands in: a study is of one patient, so it may divide a patient
    into several groups but never joins two.
    """
    patient = _identifier(dataset, "PatientID")
    if patient:
        issuer = _identifier(dataset, "IssuerOfPatientID")
        return pseudonym(key, "PatientID", f"{patient}\0{issuer}"), "PatientID"
    study = study_of(dataset, key)
    return (study, "StudyInstanceUID") if study else None


def _identifier(dataset: Dataset, keyword: str) -> str:
    return unicodedata.normalize("NFC", str(attribute(dataset, keyword) or "").strip())


def series_of(dataset: Dataset, key: bytes) -> str:
    """Pseudonym of the series (PS3.15 E.1-1 replaces its UID too), empty when the file names none."""
    return _uid_pseudonym(dataset, "SeriesInstanceUID", key)


def study_of(dataset: Dataset, key: bytes) -> str:
    """Pseudonym of the study, likewise."""
    return _uid_pseudonym(dataset, "StudyInstanceUID", key)


def _uid_pseudonym(dataset: Dataset, keyword: str, key: bytes) -> str:
    uid = str(attribute(dataset, keyword) or "").strip()
    return pseudonym(key, keyword, uid) if uid else ""


def load_or_create_key(path: Path) -> bytes:
    """The pseudonym key of this installation: 32 random bytes, made at first use, readable by its owner.

    Two processes that start at once agree: the key is written aside and linked into place, which only
    the first can do.

    Raises:
        MedMetaError: the file holds no key of this length.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            _link_once(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise MedMetaError(
            f"{path.name}: a pseudonym key of {KEY_BYTES} bytes was expected, found {len(key)}; restore it "
            "from a copy, or delete it (patients then get new pseudonyms)"
        )
    return key


def _link_once(aside: Path, path: Path) -> None:
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        aside.replace(path)
