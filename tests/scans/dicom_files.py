"""Small DICOM files made by hand, so that every test knows the pixels it should get back."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from medmeta.scans.dicom import read_dicom
from medmeta.scans.scan import Scan

KEY = bytes(range(32))


def dataset(pixels: NDArray[Any] | None, **tags: Any) -> FileDataset:
    """A CT of ``pixels``: (rows, columns), (frames, rows, columns) or (rows, columns, 3)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(tags.get("SOPClassUID", CTImageStorage))
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID = meta.MediaStorageSOPClassUID
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    made.Modality = "CT"
    made.PatientID = "patient 1"
    if pixels is not None:
        colour = pixels.ndim == 3 and pixels.shape[-1] == 3
        rows, columns = pixels.shape[:2] if colour else pixels.shape[-2:]
        made.Rows, made.Columns = rows, columns
        if pixels.ndim == 3 and not colour:
            made.NumberOfFrames = pixels.shape[0]
        made.SamplesPerPixel = 3 if colour else 1
        made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        if colour:
            made.PlanarConfiguration = 0
        made.BitsAllocated = made.BitsStored = 8 * pixels.dtype.itemsize
        made.HighBit = made.BitsStored - 1
        made.PixelRepresentation = int(pixels.dtype.kind == "i")
        made.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        made["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    return made


def encoded(made: Dataset) -> bytes:
    """The file's bytes."""
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


def dicom(pixels: NDArray[Any] | None, **tags: Any) -> bytes:
    return encoded(dataset(pixels, **tags))


def gradient(rows: int = 24, columns: int = 20, kind: str = "<i2") -> NDArray[Any]:
    """Values without symmetry, negative ones among them where the type has any."""
    values = np.arange(rows * columns).reshape(rows, columns) * 7 % 1000
    return (values - (500 if np.dtype(kind).kind == "i" else 0)).astype(kind)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def read(data: bytes) -> Scan:
    """The scan in a file's bytes."""
    return read_dicom(data, "IM1", key=KEY)


def bundled(name: str) -> bytes:
    """A file that comes with pydicom."""
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} is not in this pydicom")
    return Path(path).read_bytes()
