"""The sample task: synthetic CT-like slices made by a formula, so that anyone can try the whole path at once.

Nothing here comes from a patient, and no figure measured on it says anything about medicine.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SAMPLE_NAME = "Sample task (synthetic)"
SAMPLE_DESCRIPTIONS = {
    "no nodule": "Synthetic lung slice with vessels only",
    "round nodule": "Synthetic lung slice with one smooth, round nodule",
    "spiculated nodule": "Synthetic lung slice with one nodule that sends out spikes",
}
SIDE = 160
PATIENTS = 6
#: Every patient of this number or above gives a second slice, so that groups matter.
TWO_SLICES_FROM = 4


def sample_uploads(seed: int = 0) -> list[tuple[str, bytes]]:
    """DICOM files as a scanner would export them, one folder a class.

    Args:
        seed: the same seed gives the same bytes.

    Returns:
        (name, content) pairs, 8 slices of 6 invented patients for each of 3 classes.
    """
    random = np.random.default_rng(seed)
    uploads = []
    for number, name in enumerate(SAMPLE_DESCRIPTIONS):
        slices = 0
        for patient in range(PATIENTS):
            body = _body(random)
            for _ in range(2 if patient >= TWO_SLICES_FROM else 1):
                slices += 1
                hounsfield = _slice(body, name, random)
                identity = f"sample-{seed}-{number}-{patient}"
                uploads.append((f"{name}/IM{slices:04d}", _dicom(hounsfield, identity, slices)))
    return uploads


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    return y, x


def _smooth(random: np.random.Generator, scale: float) -> NDArray[np.float64]:
    """Noise of unit deviation whose features are about ``scale`` pixels wide."""
    frequencies = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    spectrum = np.fft.rfft2(random.normal(size=(SIDE, SIDE))) * np.exp(-((frequencies * scale) ** 2) * 4)
    noise = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return np.asarray(noise / noise.std())


def _body(random: np.random.Generator) -> NDArray[np.float64]:
    """A patient: chest wall, one lung and vessels, in HU."""
    y, x = _grid()
    height, width = random.uniform(0.78, 0.9), random.uniform(0.62, 0.75)
    radius = np.hypot(y / height, x / width) + 0.03 * _smooth(random, 30)
    lung = 1 / (1 + np.exp((radius - 1) * 60))
    image = 40 + 25 * _smooth(random, 12) - lung * (860 + random.normal(0, 20))
    vessels = np.clip(_smooth(random, 5) - 1.6, 0, None) * 260
    return np.asarray(image + lung * vessels)


def _slice(body: NDArray[np.float64], name: str, random: np.random.Generator) -> NDArray[np.float64]:
    """One slice of a patient: the class's finding and the scanner's noise added to the body."""
    y, x = _grid()
    image = body + random.normal(0, 45, body.shape)
    if name == "no nodule":
        return image
    angle, distance = random.uniform(0, 2 * np.pi), random.uniform(0, 0.4)
    dy, dx = y - distance * np.sin(angle), x - distance * np.cos(angle)
    theta = np.arctan2(dy, dx)
    edge = random.uniform(0.07, 0.14) * (1 + 0.08 * _smooth(random, 8))
    if name == "spiculated nodule":
        spikes = int(random.integers(7, 12))
        turn = random.uniform(0, 2 * np.pi)
        edge = edge * (0.8 + random.uniform(0.15, 0.45) * np.clip(np.cos(spikes * theta + turn), 0, 1) ** 3)
    inside = 1 / (1 + np.exp((np.hypot(dy, dx) - edge) * 60))
    inside *= random.uniform(0.2, 0.7)  # from ground glass to solid
    return np.asarray(image * (1 - inside) + inside * (30 + random.normal(0, 45, body.shape)))


def _dicom(hounsfield: NDArray[np.float64], identity: str, number: int) -> bytes:
    """Wrap a slice as CT Image Storage (PS3.3 A.3), 12 bits, explicit little endian."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    data = Dataset()
    data.SOPClassUID = CTImageStorage
    data.StudyInstanceUID = generate_uid(entropy_srcs=[identity, "study"])
    # A series of its own for each: two pictures of a patient, not two slices of a volume.
    data.SeriesInstanceUID = generate_uid(entropy_srcs=[identity, "series", str(number)])
    data.SOPInstanceUID = generate_uid(entropy_srcs=[identity, str(number)])
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.PatientID, data.PatientName = identity, "SYNTHETIC"
    data.Modality, data.BodyPartExamined = "CT", "LUNG"
    data.BurnedInAnnotation = "NO"
    data.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    data.Rows, data.Columns = hounsfield.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -1024, "HU"
    data.WindowCenter, data.WindowWidth = -600, 1500
    data.PixelData = np.clip(np.rint(hounsfield) + 1024, 0, 4095).astype("<u2").tobytes()
    data.file_meta = meta
    buffer = BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
