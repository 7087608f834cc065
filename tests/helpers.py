"""What tests of several rooms need."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Sequence

import numpy as np
import pypdfium2
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from medmeta.learners.base import TaskModel
from medmeta.scans.scan import Scan


def pdf_text(pdf: bytes) -> str:
    """Text operators of every page; a PDF's streams are compressed, so its bytes show no word of it."""
    parts = []
    for stream in re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL):
        try:
            parts.append(zlib.decompress(stream).decode("latin-1"))
        except zlib.error:
            continue
    return "\n".join(parts).replace("\\(", "(").replace("\\)", ")")


def read_pages(pdf: bytes) -> list[str]:
    """The text of each page as a PDF reader has it, whatever font it is in; runs of white space are one space."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    finally:
        document.close()


def read_pdf(pdf: bytes) -> str:
    return " ".join(read_pages(pdf))


def stripes(seed: int, *, upright: bool) -> bytes:
    """A PNG with stripes one way or the other."""
    values = np.random.default_rng(seed).integers(0, 60, (48, 48)).astype(np.uint8)
    values[(slice(None), slice(None, None, 6)) if upright else slice(None, None, 6)] = 250
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def soft(seed: int, text: str = "", quality: int | None = None) -> bytes:
    """A soft blob, with or without a line of text: a PNG, or a JPEG of a quality."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160] / 160
    cx, cy = random.uniform(0.3, 0.7, 2)
    values = 60 + 120 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.05) + random.normal(0, 12, (160, 160))
    picture = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    if text:
        ImageDraw.Draw(picture).text((8, 6), text, font=ImageFont.load_default(16), fill=255)
    out = io.BytesIO()
    if quality is None:
        picture.save(out, "PNG")
    else:
        picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def check_one_alone(model: TaskModel, query: Sequence[Scan]) -> None:
    """A scan read alone gets, to the bit, the answer that it gets in a batch of at least 24."""
    batch = model.predict(query)
    for position in (0, 9, 23):
        alone = model.predict([query[position]])
        assert np.array_equal(alone.probabilities[0], batch.probabilities[position])
        assert alone.out_of_domain[0] == batch.out_of_domain[position]
        assert alone.neighbours[0] == batch.neighbours[position]
    assert model.predict([]).labels == ()


def ct_slice(patient: str, series: str, height: float, value: int, image_type: str = "AXIAL") -> bytes:
    """A 16 x 16 CT slice at ``height`` mm."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    made.Modality, made.PatientID, made.SeriesInstanceUID = "CT", patient, series
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, height], [1, 0, 0, 0, 1, 0]
    made.ImageType = ["ORIGINAL", "PRIMARY", image_type]
    made.Rows = made.Columns = 16
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 1
    made.PixelData = (np.arange(256, dtype="<i2") + value).tobytes()
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()
