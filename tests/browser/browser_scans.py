"""DICOM files for the browser: real scans from the pydicom wheel, cut and turned into patients of several classes.

Every identifying element holds a string that starts with ``PHI-CANARY``; none may ever come out of the workbench.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CANARY = "PHI-CANARY"


@cache
def _source(name: str) -> tuple[FileDataset, NDArray[np.uint16 | np.int16]]:
    """One of the wheel's own files and its stored values; nothing is downloaded."""
    path = get_testdata_file(name, download=False)
    assert path is not None, f"the pydicom wheel no longer ships {name}"
    data = pydicom.dcmread(path)
    return data, data.pixel_array


def _of(source: str, patient: str, pixels: NDArray[np.uint16 | np.int16]) -> bytes:
    """A file like ``source`` with other pixels, (rows, columns) or (frames, rows, columns), and a full set of names."""
    original, _ = _source(source)
    data = original.copy()
    data.remove_private_tags()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    for keyword in (
        "PatientName",
        "OtherPatientNames",
        "PatientAddress",
        "PatientComments",
        "InstitutionName",
        "InstitutionAddress",
        "ReferringPhysicianName",
        "OperatorsName",
        "AccessionNumber",
        "StudyID",
        "StudyDescription",
        "SeriesDescription",
        "ImageComments",
    ):
        setattr(data, keyword, f"{CANARY}-{keyword[:4]}")
    data.PatientID = f"{CANARY}-{patient}"
    data.add_new((0x0009, 0x0010), "LO", f"{CANARY} private")
    data.add_new((0x0009, 0x1001), "LO", f"{CANARY} private")
    data.BurnedInAnnotation = "NO"
    for keyword in (
        "LossyImageCompression",
        "NumberOfFrames",
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
    ):
        if keyword in data:
            del data[keyword]
    if pixels.ndim == 3:
        data.NumberOfFrames = pixels.shape[0]
    data.Rows, data.Columns = pixels.shape[-2:]
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _cut(source: str, seed: int) -> NDArray[np.uint16 | np.int16]:
    """A patient of their own: another part of the slice, mirrored or not, with a little noise."""
    _, pixels = _source(source)
    random = np.random.default_rng(seed)
    rows, columns = (int(0.85 * side) for side in pixels.shape)
    top, left = random.integers(0, pixels.shape[0] - rows), random.integers(0, pixels.shape[1] - columns)
    part = pixels[top : top + rows, left : left + columns]
    part = part[:, ::-1] if random.random() < 0.5 else part
    noise = random.normal(0, 0.01 * float(np.ptp(pixels)), part.shape)
    low, high = int(pixels.min()), int(pixels.max())
    return np.ascontiguousarray(np.clip(np.rint(part + noise), low, high).astype(pixels.dtype))


def ct(patient: int, part: int = 0) -> bytes:
    """A CT slice of a chest."""
    return _of("CT_small.dcm", f"CT{patient}", _cut("CT_small.dcm", 100 * patient + part))


def mr(patient: int, part: int = 0) -> bytes:
    """An MR slice."""
    return _of("MR_small.dcm", f"MR{patient}", _cut("MR_small.dcm", 100 * patient + part))


def nuclear(patient: int) -> bytes:
    """A bone scan from nuclear medicine."""
    return _of("JPEG2000.dcm", f"NM{patient}", _cut("JPEG2000.dcm", patient))


def ct_volume(frames: int = 4) -> bytes:
    """A CT with several frames, each lighter than the one before."""
    low = np.stack([_cut("CT_small.dcm", 7) // (frames - frame) for frame in range(frames)])
    return _of("CT_small.dcm", "CT-volume", low)


def broken() -> dict[str, bytes]:
    """Files that must be refused: half a DICOM file, and text that claims to be one."""
    whole = ct(900)
    return {
        "half.dcm": whole[: len(whole) // 2],
        "letter.dcm": b"Dear colleague, please find the scan attached.\n" * 40,
    }


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Put files under a folder by their relative names; returns the folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()
