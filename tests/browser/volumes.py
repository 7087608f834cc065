"""Volumes for the browser: phantoms drawn here, written as DICOM with places, spacing and a full set of names."""

from __future__ import annotations

import io

import numpy as np
from browser_scans import CANARY
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, VLPhotographicImageStorage, generate_uid

AXIAL = (1, 0, 0, 0, 1, 0)


def _file(kind: UID, modality: str, patient: str, pixels: NDArray[np.generic]) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = kind, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    made.Modality, made.PatientID, made.PatientName = modality, f"{CANARY}-{patient}", f"{CANARY}^{patient}"
    made.StudyInstanceUID = generate_uid()
    made.BurnedInAnnotation = "NO"
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    made.BitsAllocated = made.BitsStored = 8 * pixels.dtype.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = 0
    made.PixelData = pixels.tobytes()
    return made


def _bytes(made: FileDataset) -> bytes:
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


def ct_slice(
    patient: int,
    *,
    series: str,
    height: float,
    side: int = 128,
    lesion: bool = False,
    localizer: bool = False,
) -> bytes:
    """A slice of a chest-like phantom in HU: air, a body of soft tissue, two lungs, a spine, and a nodule or none.

    The body shrinks with ``height`` (mm), so that each slice differs; ``patient`` sets its shape and noise.
    """
    random = np.random.default_rng([patient, round(height) + 10_000])
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    size = 0.9 - 0.004 * abs(height) + 0.02 * (patient % 5)
    hu = np.full((side, side), -1000.0)
    hu[(x / size) ** 2 + (y / (0.7 * size)) ** 2 < 1] = 45
    for centre in (-0.4, 0.4):
        hu[((x - centre * size) / (0.3 * size)) ** 2 + (y / (0.45 * size)) ** 2 < 1] = -820
    hu[x**2 + (y - 0.42 * size) ** 2 < 0.012] = 700
    if lesion and abs(height) < 12:
        hu[(x - 0.38 * size) ** 2 + (y + 0.05) ** 2 < 0.012] = 60
    hu += random.normal(0, 12, hu.shape)
    made = _file(CTImageStorage, "CT", f"CT{patient}", np.clip(np.rint(hu) + 1024, 0, 4095).astype("<u2"))
    made.PhotometricInterpretation = "MONOCHROME2"
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    made.WindowCenter, made.WindowWidth = 40, 400
    made.PixelSpacing, made.SliceThickness = [320 / side, 320 / side], 5
    made.SeriesInstanceUID = series
    made.ImagePositionPatient, made.ImageOrientationPatient = [-160, -160, height], list(AXIAL)
    made.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER" if localizer else "AXIAL"]
    made.BodyPartExamined = "CHEST"
    return _bytes(made)


def ct_series(
    patient: int, slices: int, *, step: float = 5.0, lesion: bool = False, side: int = 128
) -> list[bytes]:
    """A whole series, in no order."""
    series = generate_uid()
    order = np.random.default_rng(patient).permutation(slices)
    return [
        ct_slice(patient, series=series, height=step * (n - slices // 2), lesion=lesion, side=side)
        for n in order
    ]


def colour(patient: int, side: int = 96) -> bytes:
    """A photograph of a mole-like spot."""
    random = np.random.default_rng(patient)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    picture = np.empty((side, side, 3))
    picture[:] = (222, 178, 150)
    picture[(x + 0.1) ** 2 + (y / 0.8) ** 2 < 0.15 + 0.02 * (patient % 4)] = (105, 62, 48)
    picture += random.normal(0, 5, picture.shape)
    made = _file(VLPhotographicImageStorage, "XC", f"XC{patient}", np.clip(picture, 0, 255).astype(np.uint8))
    made.PhotometricInterpretation, made.PlanarConfiguration = "RGB", 0
    return _bytes(made)


def shown_otherwise() -> dict[str, bytes]:
    """CTs whose files ask to be shown in every other way that the standard knows."""
    made = {}
    for number, name in enumerate(("monochrome1", "sigmoid", "exact", "table", "real", "bytes")):
        random = np.random.default_rng(number)
        y, x = np.mgrid[0:80, 0:64]
        values = np.clip(20 * x + 8 * y + random.normal(0, 40, x.shape), 0, 2000)
        data = _file(CTImageStorage, "CT", f"OT{number}", values.astype("<u2"))
        data.PhotometricInterpretation = "MONOCHROME1" if name == "monochrome1" else "MONOCHROME2"
        if name in ("sigmoid", "exact"):
            data.WindowCenter, data.WindowWidth = 900, 700
            data.VOILUTFunction = "SIGMOID" if name == "sigmoid" else "LINEAR_EXACT"
        if name == "real":
            data.RescaleSlope, data.RescaleIntercept = 0.37, -120.5
        if name == "bytes":
            data = _file(CTImageStorage, "CT", f"OT{number}", (values / 8).astype(np.uint8))
            data.PhotometricInterpretation = "MONOCHROME2"
        if name == "table":
            item = Dataset()
            curve = (255 * np.sqrt(np.linspace(0, 1, 1500))).astype("<u2")
            item.LUTDescriptor = [1500, 200, 8]
            item.LUTData = curve.tolist()
            item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
            data.VOILUTSequence = [item]
        made[name] = _bytes(data)
    return made
