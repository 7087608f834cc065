"""NIfTI volumes to a `Scan`: axial slices as frames, turned as DICOM turns them, and of the metadata the geometry."""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmeta.scans.limits import MIB, Limits, in_words
from medmeta.scans.refusal import RefusedError, naming
from medmeta.scans.scan import Scan, TagValue, content_hash
from medmeta.scans.sniff import HEAD_BYTES, Kind, sniff
from medmeta.scans.values import narrowest

_GZIP = b"\x1f\x8b"
_SINGLE_FILE = (b"n+1\0", b"n+2\0")
#: Millimetres in the units of ``xyzt_units``: metre, millimetre, micrometre; 0 is unknown (nifti1.h).
_MM = {1: 1000.0, 2: 1.0, 3: 0.001}


def read_nifti(data: bytes, file: str, *, limits: Limits | None = None) -> Scan:
    """Read a NIfTI-1 or NIfTI-2 file, plain or gzipped, of 2 to 7 dimensions.

    The slices across the body axis become frames from feet to head, their columns running to the patient's left
    and their rows to the back, as in an axial DICOM series; so the model reads the central axial slice. Of several
    volumes the first is read, and said so. Values are scaled by the header's slope and intercept. Spacing and
    directions are kept under the names DICOM has for them, where the header knows them.

    Raises:
        ScanRejectedError: not a NIfTI volume, over a limit, damaged, or values that are no plain numbers.
    """
    limits = limits or Limits()
    with naming(file):
        if len(data) > limits.file_bytes:
            raise RefusedError(f"is {in_words(len(data))}; at most {in_words(limits.file_bytes)} are read")
        content = _inflated(data, limits) if data.startswith(_GZIP) else data
        kind = sniff(content[:HEAD_BYTES])
        if kind is Kind.TAR:
            raise RefusedError("is a tar archive packed with gzip; make a ZIP of the files")
        if kind is not Kind.NIFTI:
            raise RefusedError(
                f"is a gzip file that holds no NIfTI volume but {kind.value}; upload it unpacked"
            )
        if content[344:348] not in _SINGLE_FILE and content[4:8] not in _SINGLE_FILE:
            raise RefusedError(
                "is the header of a NIfTI pair (.hdr and .img); save the volume as one .nii file"
            )
        pixels, volumes, tags = _pixels(content, limits)
        identity = content_hash(pixels)
        more = (f"holds {volumes} volumes; the first was read",) if volumes > 1 else ()
        return Scan(
            file=file, pixels=pixels, group=f"file-{identity[:12]}", tags=tags, warnings=more, id=identity
        )


def _inflated(data: bytes, limits: Limits) -> bytes:
    """All members of the gzip file, never past the budget."""
    budget = limits.inflated(len(data), limits.decoded_bytes + MIB)
    parts: list[bytes] = []
    left, rest = budget + 1, data
    while rest.startswith(_GZIP):
        engine = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            parts.append(engine.decompress(rest, left))
        except zlib.error:
            raise RefusedError("its gzip packing is damaged; export or copy the file again") from None
        left -= len(parts[-1])
        if left <= 0:
            raise RefusedError(
                f"grows from {in_words(len(data))} to more than {in_words(budget)} when unpacked, as no scan does; "
                "upload it without packing"
            )
        if not engine.eof:
            raise RefusedError("its gzip packing is cut short; export or copy the file again")
        rest = engine.unused_data
    return b"".join(parts)


def _pixels(content: bytes, limits: Limits) -> tuple[NDArray[Any], int, dict[str, TagValue]]:
    """The first volume as (frames, rows, columns[, 3]), the number of volumes, and the geometry."""
    nibabel: Any = import_module("nibabel")  # takes a third of a second, which other files need not wait for
    reader = nibabel.Nifti1Image if content[344:348] == b"n+1\0" else nibabel.Nifti2Image
    image = reader.from_bytes(content)
    shape = tuple(int(side) for side in image.shape)
    kind = np.dtype(image.get_data_dtype())
    colour = kind.names is not None
    if kind.kind == "c" or kind.itemsize > 8 or (colour and kind.names[:3] != ("R", "G", "B")):
        raise RefusedError(
            "its voxels are complex or extended numbers; save them as integers or 32-bit floats"
        )
    if not 2 <= len(shape) <= 7 or min(shape) < 1:
        raise RefusedError("its header claims a volume without voxels; export it again")
    sides = (*shape, 1)[:3]
    voxels, volumes = int(np.prod(sides, dtype=object)), int(np.prod(shape[3:], dtype=object))
    _check_size(sides, voxels, limits)
    held, needed = len(content) - int(image.dataobj.offset), voxels * volumes * kind.itemsize
    if held < needed:
        raise RefusedError(
            f"holds {max(held, 0)} bytes of voxels where its header needs {needed}: it is cut short; "
            "export or copy the file again"
        )
    values = np.asanyarray(image.dataobj[(..., *(0,) * len(shape[3:]))]).reshape(sides)
    upright, affine = _axial(values, image.affine)
    tags = _geometry_tags(image.header, affine)
    if colour:
        return np.ascontiguousarray(np.stack([upright[name] for name in "RGB"], -1)), volumes, tags
    return _numbers(upright, kind, image.dataobj.slope, image.dataobj.inter), volumes, tags


def _check_size(sides: tuple[int, ...], voxels: int, limits: Limits) -> None:
    # Which side becomes rows, columns or frames depends on the affine; scaling makes 8 bytes of each voxel.
    if max(sides) > min(limits.rows, limits.columns, limits.frames) or voxels * 8 > limits.decoded_bytes:
        raise RefusedError(
            f"its header claims {' x '.join(map(str, sides))} voxels; at most {in_words(limits.decoded_bytes)} decoded "
            f"and {min(limits.rows, limits.columns, limits.frames)} along a side are read"
        )


def _axial(values: NDArray[Any], affine: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Voxels (i, j, k) as (slice, row, column): feet to head, front to back, right to left (PS3.3 C.7.6.2.1.1).

    Beside them the affine of (column, row, slice) to RAS+ as they lie now; None where the header's is none.
    """
    orientations: Any = import_module("nibabel.orientations")
    now = orientations.io_orientation(affine)
    if np.isnan(now).any():  # an affine that maps an axis to nothing says nothing of it
        return values.transpose(2, 1, 0), None
    turn = orientations.ornt_transform(now, orientations.axcodes2ornt(("L", "P", "S")))
    turned: NDArray[Any] = orientations.apply_orientation(values, turn)
    return turned.transpose(2, 1, 0), affine @ orientations.inv_ornt_aff(turn, values.shape)


def _geometry_tags(header: Any, affine: NDArray[Any] | None) -> dict[str, TagValue]:
    """Image Orientation (Patient) and Pixel Spacing as DICOM has them, as far as they are known.

    NIfTI's axes point to right, front and head (RAS+), DICOM's to left, back and head (PS3.3 C.7.6.2.1.1). An affine
    is known where ``qform_code`` or ``sform_code`` says so: without them it is a guess from the voxels' size. Lengths
    are known where ``xyzt_units`` names their unit.
    """
    tags: dict[str, TagValue] = {}
    if affine is None or not (int(header["qform_code"]) or int(header["sform_code"])):
        return tags
    lps = np.diag((-1.0, -1.0, 1.0)) @ affine[:3, :3]
    lengths = np.linalg.norm(lps, axis=0)
    if not (np.isfinite(lengths).all() and lengths.min() > 0):
        return tags
    along = (lps / lengths).T
    tags["ImageOrientationPatient"] = "\\".join(f"{cosine + 0.0:.9g}" for cosine in (*along[0], *along[1]))
    unit = _MM.get(int(header["xyzt_units"]) & 7)
    if unit is not None:
        tags["PixelSpacing"] = "\\".join(f"{unit * length:.9g}" for length in (lengths[1], lengths[0]))
    return tags


def _numbers(values: NDArray[Any], kind: np.dtype[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Finite values in the narrowest type; whole numbers stay whole under a whole slope and intercept."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise RefusedError("some of its voxels are not numbers; export it with a number there")
    if kind.kind in "iu" and float(slope).is_integer() and float(intercept).is_integer():
        values = values.astype(np.int64)
    return np.ascontiguousarray(narrowest(values))
