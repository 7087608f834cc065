"""Decoders to hold `medmeta.scans` against: GDCM, DCMTK's programs where they are installed, and OpenJPEG.

Both give what a `Scan` holds: greyscale after the modality LUT, or 8-bit RGB. Used by `benchmarks.conformance`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray
from openjpeg.utils import decode
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_modality_lut

Pixels = NDArray[Any]
_GDCM_TYPES = {
    "UINT8": "u1",
    "INT8": "i1",
    "UINT16": "<u2",
    "INT16": "<i2",
    "UINT32": "<u4",
    "INT32": "<i4",
    "FLOAT32": "<f4",
    "FLOAT64": "<f8",
}
#: DCMTK's program that unpacks a transfer syntax, by the beginning of its UID; the longest beginning counts.
_UNPACK = {
    "1.2.840.10008.1.2.4.5": "dcmdjpeg",
    "1.2.840.10008.1.2.4.70": "dcmdjpeg",
    "1.2.840.10008.1.2.4.8": "dcmdjpls",
    "1.2.840.10008.1.2.5": "dcmdrle",
    "1.2.840.10008.1.2": "dcmconv",
}
_RENDER = {"dcmdjpeg": "dcmj2pnm", "dcmdjpls": "dcml2pnm"}


class CannotReadError(Exception):
    """The decoder gives no pixels for this file."""


def by_gdcm(path: Path) -> Pixels:
    """All frames as GDCM reads them, rescaled by the slope and intercept that GDCM finds.

    GDCM runs in a process of its own, since some damaged files abort it.

    Raises:
        CannotReadError: GDCM reads no image.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pixels.npy"
        _run(sys.executable, "-m", "benchmarks.decoders", str(path), str(out))
        if not out.exists():
            raise CannotReadError
        pixels: Pixels = np.load(out)
        return pixels


def gdcm_here(path: Path) -> Pixels:
    """What `by_gdcm` gives, in this very process."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise CannotReadError
    plain = gdcm.ImageChangeTransferSyntax()
    plain.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    steps: list[Any] = [plain]
    image = _changed(plain, reader.GetImage(), "Change")
    kind = gdcm.PhotometricInterpretation.GetPIString(image.GetPhotometricInterpretation().GetType()).strip()
    if kind == "PALETTE COLOR":
        steps.append(gdcm.ImageApplyLookupTable())
        image = _changed(steps[-1], image, "Apply")
    if image.GetPixelFormat().GetSamplesPerPixel() == 3 and image.GetPlanarConfiguration():
        steps.append(gdcm.ImageChangePlanarConfiguration())
        steps[-1].SetPlanarConfiguration(0)
        image = _changed(steps[-1], image, "Change")
    form = image.GetPixelFormat()
    buffer = image.GetBuffer()
    if buffer is None or form.GetScalarTypeAsString() not in _GDCM_TYPES:
        raise CannotReadError
    sides = [*reversed(image.GetDimensions())]
    shape = [1] * (3 - len(sides)) + sides
    colour = form.GetSamplesPerPixel() == 3
    stored = np.frombuffer(
        buffer.encode("utf-8", "surrogateescape"), _GDCM_TYPES[form.GetScalarTypeAsString()]
    )
    if stored.size != np.prod(shape) * (3 if colour else 1):
        raise CannotReadError
    if not colour:
        values: Pixels = stored.reshape(shape).astype(np.float64) * image.GetSlope() + image.GetIntercept()
        return values
    eight = to_bytes(stored.reshape(*shape, 3), form.GetBitsStored())
    return _rgb(eight) if kind.startswith("YBR_FULL") else eight


def has_dcmtk() -> bool:
    """Whether DCMTK's programs are on the path."""
    return all(shutil.which(name) for name in {*_UNPACK.values(), *_RENDER.values(), "dcm2pnm"})


def by_dcmtk(path: Path) -> Pixels:
    """All frames as DCMTK unpacks (greyscale) or draws (colour) them; pydicom applies the modality LUT.

    Raises:
        CannotReadError: DCMTK gives no pixels; its free edition has no JPEG 2000.
    """
    head = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    if "Rows" not in head:
        raise CannotReadError
    syntax = str(getattr(head, "file_meta", pydicom.Dataset()).get("TransferSyntaxUID", "1.2.840.10008.1.2"))
    beginning = max((each for each in _UNPACK if syntax.startswith(each)), key=len, default=None)
    if beginning is None or (syntax.startswith("1.2.840.10008.1.2.4") and beginning == "1.2.840.10008.1.2"):
        raise CannotReadError
    program = _UNPACK[beginning]
    with tempfile.TemporaryDirectory() as folder:
        if head.get("SamplesPerPixel", 1) == 3 or head.get("PhotometricInterpretation") == "PALETTE COLOR":
            return _drawn(_RENDER.get(program, "dcm2pnm"), path, Path(folder))
        plain = Path(folder) / "plain"
        _run(program, *(["+te"] if program == "dcmconv" else []), str(path), str(plain))
        made = pydicom.dcmread(plain)
        values: Pixels = np.asarray(apply_modality_lut(_stored(made), _flat(made)), np.float64)
        return values


def by_openjpeg(path: Path) -> Pixels:
    """JPEG 2000 frames as the OpenJPEG of pylibjpeg decodes them; pydicom applies the modality LUT.

    Raises:
        CannotReadError: the file holds no JPEG 2000 frames, or they do not decode.
    """
    head = pydicom.dcmread(path, force=True)
    syntax = str(getattr(head, "file_meta", pydicom.Dataset()).get("TransferSyntaxUID", ""))
    if not syntax.startswith(("1.2.840.10008.1.2.4.9", "1.2.840.10008.1.2.4.20")) or "PixelData" not in head:
        raise CannotReadError
    frames = int(head.get("NumberOfFrames") or 1)
    try:
        streams = list(generate_frames(head.PixelData, number_of_frames=frames))
        decoded = np.stack([decode(stream) for stream in streams])
    except Exception:
        raise CannotReadError from None
    if head.SamplesPerPixel == 3:
        return to_bytes(decoded, int(head.BitsStored))
    stored = _signed(decoded.astype(np.int64), int(head.BitsStored), head.PixelRepresentation == 1)
    values: Pixels = np.asarray(apply_modality_lut(stored, _flat(head)), np.float64)
    return values


def _signed(values: Pixels, bits: int, signed: bool) -> Pixels:
    """The lowest ``bits`` bits as numbers of either kind."""
    values = values & (2**bits - 1)
    return np.where(values >= 2 ** (bits - 1), values - 2**bits, values) if signed else values


def to_bytes(colour: Pixels, bits: int) -> Pixels:
    """Colour samples of ``bits`` bits as 0-255, rounded."""
    if bits == 8:
        return colour.astype(np.uint8)
    eight: Pixels = np.rint(colour.astype(np.float64) * 255.0 / (2**bits - 1)).astype(np.uint8)
    return eight


def _stored(made: pydicom.Dataset) -> Pixels:
    """Native stored values by arithmetic on the bytes, unused high bits dropped and the sign spread."""
    if "FloatPixelData" in made or "DoubleFloatPixelData" in made:
        raise CannotReadError
    frames = int(made.get("NumberOfFrames") or 1)
    shape = (frames, made.Rows, made.Columns)
    count = int(np.prod(shape))
    allocated, stored = int(made.BitsAllocated), int(made.BitsStored)
    if allocated == 1:
        packed = np.frombuffer(made.PixelData, np.uint8)
        return np.unpackbits(packed, bitorder="little")[:count].reshape(shape)
    values: Pixels = np.frombuffer(made.PixelData, f"<u{allocated // 8}")[:count].astype(np.int64)
    values = _signed(values, stored, made.PixelRepresentation == 1)
    if values.size != count:
        raise CannotReadError
    return values.reshape(shape)


def _flat(made: pydicom.Dataset) -> pydicom.Dataset:
    """The data set with the rescale of its shared functional group, which pydicom does not look for."""
    shared = (made.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    for item in shared.get("PixelValueTransformationSequence") or []:
        made.RescaleSlope, made.RescaleIntercept = item.RescaleSlope, item.RescaleIntercept
    return made


def _drawn(program: str, path: Path, folder: Path) -> Pixels:
    _run(program, "+Fa", "+op", str(path), str(folder / "frame"))

    def number(each: Path) -> int:
        found = re.search(r"\.(\d+)\.", each.name)
        return int(found.group(1)) if found else 0

    pictures = sorted(folder.glob("frame*"), key=number)
    if not pictures:
        raise CannotReadError
    return np.stack([np.asarray(Image.open(each).convert("RGB")) for each in pictures])


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    if done.returncode:
        raise CannotReadError


def _rgb(ybr: Pixels) -> Pixels:
    """YBR_FULL to RGB by the equations of PS3.3 C.7.6.3.1.2, uint8 in and out."""
    y, cb, cr = (ybr[..., channel].astype(np.float64) for channel in range(3))
    red, blue = y + 1.402 * (cr - 128), y + 1.772 * (cb - 128)
    green = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    return np.clip(np.rint(np.stack([red, green, blue], -1)), 0, 255).astype(np.uint8)


def _changed(change: Any, image: Any, verb: str) -> Any:
    """The output of a GDCM filter; it lives only as long as the filter does."""
    change.SetInput(image)
    if not getattr(change, verb)():
        raise CannotReadError
    return change.GetOutput()


#: What an independent decoder gives for a file, by its name in the table.
DECODERS: dict[str, Callable[[Path], Pixels]] = {
    "GDCM": by_gdcm,
    "DCMTK": by_dcmtk,
    "OpenJPEG": by_openjpeg,
}


if __name__ == "__main__":
    np.save(sys.argv[2], gdcm_here(Path(sys.argv[1])))
