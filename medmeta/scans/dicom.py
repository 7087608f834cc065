"""DICOM bytes to a de-identified `Scan`: checked first, decoded second, tags left behind."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.tag import Tag
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from medmeta.scans.attributes import attribute, holds, registered
from medmeta.scans.bits import high_bit, only_stored_bits
from medmeta.scans.deidentify import PERMITTED_TAGS, patient_group, permitted_tags, series_of, study_of
from medmeta.scans.enhanced import geometry_tags
from medmeta.scans.fileformat import DEFLATED, EXPLICIT_BIG, READ_AS, fresh_file, read_shell
from medmeta.scans.geometry import PARTIAL_422, Geometry, check_frame_headers, check_named, read_geometry
from medmeta.scans.grey import Grey, grey_values
from medmeta.scans.jpeg12 import decode_12_bit
from medmeta.scans.limits import Limits, in_words
from medmeta.scans.not_images import DICOMDIR, DICOMDIR_CLASS, PIXELS, check_is_image
from medmeta.scans.padding import PADDING_TAGS
from medmeta.scans.refusal import RefusedError, naming
from medmeta.scans.scan import Scan, content_hash
from medmeta.scans.values import palette_to_rgb, partial_to_rgb, to_8_bit

#: Everything the parser keeps; it skips all other elements, so they never exist as values here.
_READ_TAGS: list[Any] = [
    *PERMITTED_TAGS,
    *PIXELS,
    *(
        f"{c}PaletteColorLookupTable{part}"
        for c in ("Red", "Green", "Blue")
        for part in ("Data", "Descriptor")
    ),
    *(f"Segmented{c}PaletteColorLookupTableData" for c in ("Red", "Green", "Blue")),
    "PatientID",
    "IssuerOfPatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
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
    "PixelIntensityRelationship",
    "Units",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    *PADDING_TAGS,
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
]
#: Transfer syntaxes that pydicom's list does not have yet (PS3.5 A.4.12).
_NEWER = {f"1.2.840.10008.1.2.4.{end}": "JPEG XL" for end in (110, 111, 112)}
_SECONDARY = {"SC", "OT", "XC", "ES", "US", "IVUS", "DOC"}
#: Warnings of a scan that may bear text; the workspace asks a person about scans with one of them.
SAYS_BURNED_IN = "the file says text is burned into the picture; check that it names no patient"
USUALLY_BURNED_IN = "pictures of this kind often carry burned-in text; check that it names no patient"
#: The quickest decoder of a syntax, where pydicom would ask a slower one first. Only syntaxes that every decoder must
#: decode to the same values (ITU-T T.87; T.800 without loss): which one is asked changes no pixel.
_QUICKEST = {JPEGLSLossless: "pyjpegls", JPEGLSNearLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}
_quiet_lock = threading.RLock()
#: Looked up once: pydicom would do so for every file.
_READ = [Tag(word) for word in _READ_TAGS]


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
            raise RefusedError(DICOMDIR)
        _check_decodable(shell.transfer_syntax)
        dataset = dcmread(io.BytesIO(fresh_file(data, shell, limits)), specific_tags=_READ)
        check_is_image(dataset, shell.sop_class)
        geometry = read_geometry(dataset, limits)
        _check_pixel_bytes(dataset, geometry)
        return _scan(dataset, geometry, file, key, shell.transfer_syntax)


def _scan(dataset: Dataset, geometry: Geometry, file: str, key: bytes, transfer_syntax: str) -> Scan:
    stored = _decoded(dataset, geometry)
    little = dataset.file_meta.TransferSyntaxUID != EXPLICIT_BIG
    tags = geometry_tags(dataset, geometry.frames) | permitted_tags(dataset)
    grey: Grey | None = None
    if geometry.photometric == "PALETTE COLOR":
        pixels: NDArray[Any] = palette_to_rgb(stored, dataset, little)
    elif geometry.samples == 3:
        pixels = to_8_bit(stored, geometry.bits_stored)
    else:
        grey = grey_values(stored, dataset, little_endian=little)
        pixels = grey.pixels
    group = patient_group(dataset, key)
    identity = content_hash(pixels)
    name, source = group or (f"file-{identity[:12]}", "file")
    scan = Scan(
        file=file,
        pixels=np.ascontiguousarray(pixels),
        group=name,
        group_source=source,
        tags=tags,
        transfer_syntax=transfer_syntax,
        monochrome1=geometry.photometric == "MONOCHROME1",
        warnings=_burned_in(dataset, str(tags.get("Modality") or "")),
        id=identity,
        series=series_of(dataset, key),
        study=study_of(dataset, key),
    )
    if grey is None:
        return scan
    return replace(
        scan,
        unit=grey.unit,
        padding=grey.padding,
        window=grey.window,
        window_function=grey.window_function,
        voi_table=grey.voi_table,
    )


def _check_decodable(transfer_syntax: str) -> None:
    if not _has_decoder(transfer_syntax):
        # An unknown UID may hold anything, so only a name from the standard's own list is repeated.
        kind, name = registered(transfer_syntax)
        if kind != "Transfer Syntax":
            name = _NEWER.get(transfer_syntax, "a private or unknown transfer syntax")
        raise RefusedError(
            f"its pixels are encoded as {name}, which this program cannot decode; export it uncompressed "
            "(Explicit VR Little Endian)"
        )


@lru_cache(maxsize=64)
def _has_decoder(transfer_syntax: str) -> bool:
    if transfer_syntax == DEFLATED:
        return True
    try:
        return get_decoder(READ_AS.get(transfer_syntax, transfer_syntax)).is_available
    except NotImplementedError:
        return False


def _check_pixel_bytes(dataset: Dataset, geometry: Geometry) -> None:
    syntax = dataset.file_meta.TransferSyntaxUID
    if holds(dataset, "PixelData") and syntax.is_encapsulated:
        if syntax != RLELossless:
            check_frame_headers(
                generate_frames(dataset.PixelData, number_of_frames=geometry.frames), geometry
            )
        return
    held = max(len(dataset[word].value or b"") for word in PIXELS if holds(dataset, word))
    if held < geometry.native_bytes:
        raise RefusedError(
            f"holds {held} bytes of pixels where its header needs {geometry.native_bytes}: it is cut short; "
            "export or copy the file again"
        )


def _decoded(dataset: Dataset, geometry: Geometry) -> NDArray[Any]:
    """Stored values as (frames, rows, columns[, 3]); YBR is RGB by then."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == JPEGExtended12Bit and geometry.bits_stored > 8:
        frames = generate_frames(dataset.PixelData, number_of_frames=geometry.frames)
        return decode_12_bit(frames, geometry, signed=attribute(dataset, "PixelRepresentation") == 1)
    check_named(dataset, geometry)
    partial = (
        geometry.photometric == PARTIAL_422 and geometry.bits_allocated == 8 and not syntax.is_encapsulated
    )
    if partial:  # samples lie as in YBR_FULL_422, only their ranges differ
        dataset.PhotometricInterpretation = "YBR_FULL_422"
    decoder = get_decoder(syntax)
    high = high_bit(dataset, geometry)
    # The decoder keeps that many of the lowest bits.
    options = as_pixel_options(dataset, allow_excess_frames=False) | {"bits_stored": high + 1}
    pixels, after = _as_array(decoder, dataset, raw=partial, validate=True, **options)
    if partial:
        pixels = partial_to_rgb(pixels)
    elif geometry.samples == 3 and after.get("photometric_interpretation") != "RGB":
        raise RefusedError("its colour space cannot be turned into RGB; export it as RGB")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise RefusedError("some of its pixels are not numbers; export the scan again")
    shape = (geometry.frames, geometry.rows, geometry.columns, *((3,) if geometry.samples == 3 else ()))
    return only_stored_bits(pixels.reshape(shape), dataset, geometry, high)


def _as_array(decoder: Decoder, dataset: Dataset, **options: Any) -> tuple[NDArray[Any], dict[str, Any]]:
    quickest = _QUICKEST.get(decoder.UID)
    if quickest is not None:
        with suppress(Exception):  # then all of them are asked, in pydicom's order
            return decoder.as_array(dataset, decoding_plugin=quickest, **options)
    return decoder.as_array(dataset, **options)


def _burned_in(dataset: Dataset, modality: str) -> tuple[str, ...]:
    """Burned In Annotation (0028,0301) is optional, so its absence says nothing (PS3.3 C.7.6.1)."""
    says = str(attribute(dataset, "BurnedInAnnotation") or "").strip().upper()
    if says == "YES":
        return (SAYS_BURNED_IN,)
    secondary = "Secondary Capture" in registered(str(attribute(dataset, "SOPClassUID") or ""))[1]
    if says != "NO" and (secondary or modality in _SECONDARY):
        return (USUALLY_BURNED_IN,)
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
