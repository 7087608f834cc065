"""DICOM bytes to a de-identified `Scan`: checked first, decoded second, tags left behind."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID, JPEGExtended12Bit, RLELossless

from medmeta.scans import enhanced, terms
from medmeta.scans.deidentify import PERMITTED_TAGS, patient_group, permitted_tags
from medmeta.scans.fileformat import DEFLATED, EXPLICIT_BIG, fresh_file, read_shell
from medmeta.scans.geometry import Geometry, check_frame_headers, read_geometry
from medmeta.scans.limits import Limits, in_words
from medmeta.scans.refusal import RefusedError, naming
from medmeta.scans.scan import Scan, content_hash
from medmeta.scans.values import looked_up, narrowest, palette_to_rgb, rescaled, to_8_bit

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
#: Everything the parser keeps; it skips all other elements, so they never exist as values here.
_READ_TAGS: list[Any] = [
    *PERMITTED_TAGS,
    *_PIXELS,
    *(
        f"{c}PaletteColorLookupTable{part}"
        for c in ("Red", "Green", "Blue")
        for part in ("Data", "Descriptor")
    ),
    *(f"Segmented{c}PaletteColorLookupTableData" for c in ("Red", "Green", "Blue")),
    "PatientID",
    "IssuerOfPatientID",
    "StudyInstanceUID",
    "BurnedInAnnotation",
    "SamplesPerPixel",
    "BitsAllocated",
    "HighBit",
    "PixelRepresentation",
    "PlanarConfiguration",
    "ModalityLUTSequence",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "Units",
    "WindowCenter",
    "WindowWidth",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
]
#: Beginnings of the names of storage classes that hold no image, and what to call them.
_NOT_IMAGES = (
    (("Basic Text SR", "Enhanced SR", "Comprehensive", "Extensible SR", "Key Object"), "a structured report"),
    (("RT Dose",), "a radiotherapy dose grid"),
    (("RT ",), "a radiotherapy object"),
    (("Encapsulated",), "a document wrapped in DICOM"),
    (("Segmentation", "Surface Segmentation", "Label Map"), "a segmentation, which marks a scan but is none"),
    (("Media Storage Directory",), "a DICOMDIR, the index of a disc; choose the image files themselves"),
)
_SECONDARY = {"SC", "OT", "XC", "ES", "US", "IVUS", "DOC"}
_quiet_lock = threading.RLock()


def read_dicom(data: bytes, file: str, *, key: bytes, limits: Limits | None = None) -> Scan:
    """Read one DICOM file (PS3.10) into a de-identified scan with all its frames.

    Pixels go through the modality LUT or rescale (PS3.3 C.11.1) but no window. MONOCHROME1 is flagged,
    not inverted. Colour comes out as 8-bit RGB.

    Args:
        data: the whole file.
        file: the name it was uploaded under, for people.
        key: pseudonym key, see `medmeta.scans.deidentify.load_or_create_key`.
        limits: budgets; the defaults where None.

    Raises:
        ScanRejectedError: not DICOM, no image, over a limit, damaged, or a compression without a decoder.
    """
    limits = limits or Limits()
    with naming(file), _quiet():
        if len(data) > limits.file_bytes:
            raise RefusedError(f"is {in_words(len(data))}; at most {in_words(limits.file_bytes)} are read")
        shell = read_shell(data)
        if shell.sop_class == DICOMDIR_CLASS:
            raise RefusedError("is a DICOMDIR, the index of a disc; choose the image files themselves")
        _check_decodable(shell.transfer_syntax)
        dataset = dcmread(io.BytesIO(fresh_file(data, shell, limits)), specific_tags=_READ_TAGS)
        _check_is_image(dataset, shell.sop_class)
        geometry = read_geometry(dataset, limits)
        _check_pixel_bytes(dataset, geometry)
        return _scan(dataset, geometry, file, key, shell.transfer_syntax)


def _scan(dataset: Dataset, geometry: Geometry, file: str, key: bytes, transfer_syntax: str) -> Scan:
    stored = _decoded(dataset, geometry)
    little = dataset.file_meta.TransferSyntaxUID != EXPLICIT_BIG
    modality = permitted_tags(dataset).get("Modality")
    unit, window, notes = "", None, _burned_in(dataset, str(modality or ""))
    if geometry.photometric == "PALETTE COLOR":
        pixels: NDArray[Any] = palette_to_rgb(stored, dataset, little)
    elif geometry.samples == 3:
        pixels = to_8_bit(stored, geometry.bits_stored)
    else:
        window = enhanced.voi_window(dataset, (geometry.frames - 1) // 2)
        if table := dataset.get("ModalityLUTSequence"):
            pixels, unit = (
                looked_up(stored, table[0], little),
                _unit(str(table[0].get("ModalityLUTType") or "")),
            )
        else:
            rescales = enhanced.rescales(dataset, geometry.frames)
            pixels = stored if rescales is None else rescaled(stored, rescales)
            unit = _unit(enhanced.rescale_type(dataset) or str(dataset.get("Units") or ""))
            if not unit and modality == "CT" and rescales is not None:
                unit = "HU"
        pixels = narrowest(pixels)
    group = patient_group(dataset, key)
    identity = content_hash(pixels)
    name, source = group or (f"file-{identity[:12]}", "file")
    return Scan(
        file=file,
        pixels=np.ascontiguousarray(pixels),
        group=name,
        group_source=source,
        tags=permitted_tags(dataset),
        transfer_syntax=transfer_syntax,
        unit=unit,
        window=window,
        monochrome1=geometry.photometric == "MONOCHROME1",
        warnings=notes,
        id=identity,
    )


def _check_decodable(transfer_syntax: str) -> None:
    if transfer_syntax == DEFLATED:
        return
    uid = UID(transfer_syntax)
    try:
        usable = get_decoder(uid).is_available
    except NotImplementedError:
        usable = False
    if not usable:
        # An unknown UID may hold anything, so only a name from the standard's own list is repeated.
        name = uid.name if uid.type == "Transfer Syntax" else "a private or unknown transfer syntax"
        raise RefusedError(
            f"its pixels are encoded as {name}, which this program cannot decode; export it uncompressed "
            "(Explicit VR Little Endian)"
        )


def _check_is_image(dataset: Dataset, announced: str | None) -> None:
    # Of a file cut inside its compressed pixels pydicom keeps nothing, but the file meta still says what it was.
    uid = UID(str(dataset.get("SOPClassUID") or announced or ""))
    name = uid.name if uid.type == "SOP Class" else ""
    for beginnings, what in _NOT_IMAGES:
        if name.startswith(beginnings) and not name.startswith("RT Image"):
            raise RefusedError(f"is not an image but {what}")
    if not any(word in dataset for word in _PIXELS):
        if ("Rows" in dataset and "Columns" in dataset) or "Image Storage" in name:
            raise RefusedError("ends before its pixel data: it is cut short; export or copy the file again")
        kind = f" ({name})" if name else ""
        raise RefusedError(f"is DICOM but holds no image{kind}; only files with pixels can be read")


def _check_pixel_bytes(dataset: Dataset, geometry: Geometry) -> None:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == JPEGExtended12Bit and geometry.bits_stored > 8:
        raise RefusedError("is a 12-bit lossy JPEG, which this program cannot decode; export it uncompressed")
    if "PixelData" in dataset and syntax.is_encapsulated:
        if syntax != RLELossless:
            check_frame_headers(
                generate_frames(dataset.PixelData, number_of_frames=geometry.frames), geometry
            )
        return
    held = max(len(dataset[word].value or b"") for word in _PIXELS if word in dataset)
    if held < geometry.native_bytes:
        raise RefusedError(
            f"holds {held} bytes of pixels where its header needs {geometry.native_bytes}: it is cut short; "
            "export or copy the file again"
        )


def _decoded(dataset: Dataset, geometry: Geometry) -> NDArray[Any]:
    """Stored values as (frames, rows, columns[, 3]); YBR is RGB by then."""
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    options = as_pixel_options(dataset, allow_excess_frames=False)
    pixels, after = decoder.as_array(dataset, raw=False, validate=True, **options)
    if geometry.samples == 3 and after.get("photometric_interpretation") != "RGB":
        raise RefusedError("its colour space cannot be turned into RGB; export it as RGB")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise RefusedError("some of its pixels are not numbers; export the scan again")
    shape = (geometry.frames, geometry.rows, geometry.columns, *((3,) if geometry.samples == 3 else ()))
    return pixels.reshape(shape)


def _unit(written: str) -> str:
    word = written.strip().upper()
    return word if word in terms.UNITS - terms.NO_UNIT else ""


def _burned_in(dataset: Dataset, modality: str) -> tuple[str, ...]:
    """Burned In Annotation (0028,0301) is optional, so its absence says nothing (PS3.3 C.7.6.1)."""
    says = str(dataset.get("BurnedInAnnotation") or "").strip().upper()
    if says == "YES":
        return ("the file says text is burned into the picture; check that it names no patient",)
    secondary = "Secondary Capture" in UID(str(dataset.get("SOPClassUID") or "")).name
    if says != "NO" and (secondary or modality in _SECONDARY):
        return ("pictures of this kind often carry burned-in text; check that it names no patient",)
    return ()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom's warnings and log lines, which quote tag values, out of every log while a file is read."""

    def drop(_: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("pydicom")
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.addFilter(drop)
        try:
            yield
        finally:
            logger.removeFilter(drop)
