"""What is no scan, or is encoded as nothing here decodes, is refused by its name."""

from __future__ import annotations

import pydicom
import pytest
from dicom_files import bundled, dataset, dicom, encoded, gradient, read
from pydicom.encaps import encapsulate
from pydicom.uid import HEVCMP51

from medmeta.errors import ScanRejectedError


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtplan.dcm", "radiotherapy"),
        ("rtstruct.dcm", "radiotherapy"),
        ("test-SR.dcm", "structured report"),
        ("waveform_ecg.dcm", "not an image but a waveform"),
        ("liver_1frame.dcm", "segmentation"),
        ("MR_truncated.dcm", "cut short"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(name: str, words: str) -> None:
    with pytest.raises(ScanRejectedError, match=words):
        read(bundled(name))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MRSpectroscopyStorage", "spectra"),
        ("GrayscaleSoftcopyPresentationStateStorage", "presentation state"),
        ("KeyObjectSelectionDocumentStorage", "structured report"),
        ("XRayRadiationDoseSRStorage", "structured report"),
        ("RTPlanStorage", "radiotherapy object"),
        ("EncapsulatedPDFStorage", "document"),
        ("SpatialRegistrationStorage", "registration"),
        ("HangingProtocolStorage", "Hanging Protocol"),
        ("MediaStorageDirectoryStorage", "DICOMDIR"),
        ("CTImageStorage", "without its pixels"),
    ],
)
def test_objects_without_pixels(name: str, words: str) -> None:
    with pytest.raises(ScanRejectedError, match=words):
        read(dicom(None, SOPClassUID=getattr(pydicom.uid, name)))


@pytest.mark.parametrize(
    ("syntax", "words"),
    [
        ("1.2.840.10008.1.2.4.100", "MPEG2"),
        ("1.2.840.10008.1.2.4.102", "H.264"),
        ("1.2.840.10008.1.2.4.107", "HEVC"),
        ("1.2.840.10008.1.2.4.94", "JPIP"),
        ("1.2.840.10008.1.2.4.65", "Hierarchical"),
        ("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed"),
        ("1.2.3.4", "private or unknown"),
    ],
)
def test_encodings_without_a_decoder_are_called_by_their_name(syntax: str, words: str) -> None:
    made = dataset(gradient(kind="u1"))
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([b"\0" * 480])
    with pytest.raises(ScanRejectedError, match=words):
        read(encoded(made))


def test_jpeg_xl_is_called_by_its_name() -> None:
    """pydicom does not know the syntax and writes no such file."""
    made = dataset(gradient(kind="u1"))
    made.file_meta.TransferSyntaxUID = HEVCMP51
    made.PixelData = encapsulate([b"\0" * 480])
    with pytest.raises(ScanRejectedError, match="JPEG XL"):
        read(encoded(made).replace(HEVCMP51.encode(), b"1.2.840.10008.1.2.4.112"))


def test_a_radiotherapy_image_is_an_image() -> None:
    assert read(dicom(gradient(), SOPClassUID=pydicom.uid.RTImageStorage, Modality="RTIMAGE")).rows == 24
