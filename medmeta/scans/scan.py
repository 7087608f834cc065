"""The one object every other room works on: de-identified pixels plus permitted technical tags."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Value of one permitted tag, already free of identifying text.
TagValue = str | int | float | None


#: PS3.3 C.11.2.1.3 (VOI LUT Function).
WINDOW_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True)
class VoiTable:
    """A VOI LUT (PS3.3 C.11.2.1.1): how a file asks to be shown, value by value.

    Attributes:
        first: the pixel value that the first entry is for; lower ones take the first entry, values beyond
            the end the last.
        shades: one byte an entry, 0 (black) to 255 (white).
    """

    first: int
    shades: bytes


@dataclass(frozen=True, eq=False)
class Scan:
    """A de-identified scan.

    Attributes:
        file: name the scan was uploaded under, for people; it is never used as a path.
        pixels: ``(frames, rows, columns)`` for greyscale, in the unit below (modality LUT applied,
            no window), int16, uint16, int32, uint32 or float32; or ``(frames, rows, columns, 3)``
            uint8 RGB. Read-only; may be memory-mapped.
        group: what must never be split (the patient, where known).
        group_source: ``"labels.csv"``, ``"PatientID"``, ``"StudyInstanceUID"`` (no Patient ID; a study is
            one patient's), ``"folder"`` (a patient's, by its place), ``"person"``, or ``"file"`` (patient unknown: the
            file counts as its own).
        tags: permitted technical tags by DICOM keyword (``Modality``, ``BodyPartExamined``, ...).
        transfer_syntax: DICOM Transfer Syntax UID, or None for pictures.
        unit: unit of greyscale pixel values, for example ``"HU"``; empty when unknown.
        window: (centre, width) the file asks for, in ``unit``; None when it names none. Of the central frame,
            where frames have windows of their own.
        window_function: the curve that a window is drawn with (PS3.3 C.11.2.1.3): ``"LINEAR"``,
            ``"LINEAR_EXACT"`` or ``"SIGMOID"``.
        voi_table: the file's own curve; it goes before the window until a person moves that.
        padding: lowest and highest value, in ``unit``, of pixels that only fill the central frame up to a
            rectangle (PS3.3 C.7.5.1.1.2); None when the file names none. They stay in ``pixels`` and count in
            no range of intensities.
        monochrome1: low values are meant to be shown bright (PS3.3 C.7.6.3.1.2). ``pixels`` are not
            inverted; display and model intensity each invert exactly once.
        warnings: sentences for the person, without identifying text.
        series: pseudonym of the DICOM series the file is of; empty where there is none.
        study: likewise of the study; it serves to keep a study under one patient at intake and is not stored.
    """

    file: str
    pixels: NDArray[np.generic]
    group: str
    group_source: str = "file"
    tags: Mapping[str, TagValue] = field(default_factory=dict)
    transfer_syntax: str | None = None
    unit: str = ""
    window: tuple[float, float] | None = None
    window_function: str = "LINEAR"
    voi_table: VoiTable | None = None
    padding: tuple[float, float] | None = None
    monochrome1: bool = False
    warnings: tuple[str, ...] = ()
    id: str = ""
    series: str = ""
    study: str = ""

    def __post_init__(self) -> None:
        if self.pixels.ndim not in (3, 4) or (self.pixels.ndim == 4 and self.pixels.shape[3] != 3):
            raise ValueError(
                "Scan.pixels must be (frames, rows, columns) or (frames, rows, columns, 3), "
                f"found shape {self.pixels.shape}"
            )
        self.pixels.setflags(write=False)
        object.__setattr__(self, "tags", MappingProxyType(dict(self.tags)))
        if not self.id:
            object.__setattr__(self, "id", content_hash(self.pixels))

    @property
    def modality(self) -> str | None:
        """DICOM Modality (0008,0060), or None when the file names none."""
        value = self.tags.get("Modality")
        return None if value is None else str(value)

    @property
    def frames(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def rows(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def columns(self) -> int:
        return int(self.pixels.shape[2])

    @property
    def is_colour(self) -> bool:
        return self.pixels.ndim == 4

    @property
    def central_frame(self) -> int:
        """The frame the model reads: the middle one, the lower of the two for an even count."""
        return (self.frames - 1) // 2

    def measured(self) -> NDArray[Any]:
        """Pixels of the central frame from which ranges are taken: all but padding, as a flat array.

        A frame of nothing but padding gives all of it.
        """
        frame: NDArray[Any] = self.pixels[self.central_frame]
        if self.padding is None:
            return frame.ravel()
        low, high = self.padding
        kept = frame[(frame < low) | (frame > high)]
        return kept if kept.size else frame.ravel()


@dataclass(frozen=True)
class LabelledScan:
    """A scan and the label it came with; None where the upload named none."""

    scan: Scan
    label: str | None = None


@dataclass(frozen=True)
class Rejection:
    """A file that was refused, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Intake:
    """What one upload gave: ``accepted`` scans, ``rejected`` files, ``warnings`` about the whole."""

    accepted: tuple[LabelledScan, ...]
    rejected: tuple[Rejection, ...] = ()
    warnings: tuple[str, ...] = ()


def content_hash(pixels: NDArray[np.generic]) -> str:
    """SHA-256 over dtype, shape and values: equal pixels have equal ids however they were encoded."""
    digest = hashlib.sha256()
    digest.update(f"{pixels.dtype.newbyteorder('<').str}{pixels.shape}".encode())
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    digest.update(np.ascontiguousarray(little).data)
    return digest.hexdigest()
