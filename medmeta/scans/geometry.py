"""The size an image claims, checked against the budget and the bytes at hand before anything is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataset import Dataset

from medmeta.scans.attributes import attribute, holds
from medmeta.scans.limits import Limits, in_words
from medmeta.scans.refusal import RefusedError

#: Retired, and still in old ultrasound archives (PS3.3 of 2016, C.7.6.3.1.2).
PARTIAL_422 = "YBR_PARTIAL_422"
#: How far from a frame's end its end marker may stand: padding, and the odd bytes some encoders add.
_TAIL = 64


@dataclass(frozen=True)
class Geometry:
    """Size of the pixel data (PS3.3 C.7.6.3): counts, and bits per sample as stored."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    photometric: str

    @property
    def decoded_bytes(self) -> int:
        """Bytes of all frames once decoded; single-bit samples take a byte each."""
        sample = max(1, self.bits_allocated // 8)
        return self.rows * self.columns * self.frames * self.samples * sample

    @property
    def native_bytes(self) -> int:
        """Bytes an uncompressed Pixel Data element must hold (PS3.5 8.1.1)."""
        bits = self.rows * self.columns * self.frames * self.samples * self.bits_allocated
        if self.photometric in ("YBR_FULL_422", PARTIAL_422):
            bits = bits * 2 // 3
        return (bits + 7) // 8


def read_geometry(dataset: Dataset, limits: Limits) -> Geometry:
    """The claimed geometry, within the limits.

    Raises:
        RefusedError: a value is missing, is impossible or goes over a limit.
    """
    rows = _count(dataset, "Rows", limits.rows)
    columns = _count(dataset, "Columns", limits.columns)
    frames = _count(dataset, "NumberOfFrames", limits.frames, default=1)
    samples = _count(dataset, "SamplesPerPixel", 3, default=1)
    allocated = _count(dataset, "BitsAllocated", 64)
    if allocated not in (1, 8, 16, 32, 64) or samples == 2:
        raise RefusedError(
            f"{samples} samples of {allocated} bits a pixel are not an image this program can read; 1 or 3 "
            "samples of 1, 8, 16 or 32 bits were expected"
        )
    stored = _count(dataset, "BitsStored", allocated, default=allocated)
    photometric = str(attribute(dataset, "PhotometricInterpretation") or "").strip().upper()
    geometry = Geometry(rows, columns, frames, samples, allocated, stored, photometric)
    if geometry.decoded_bytes > limits.decoded_bytes:
        raise RefusedError(
            f"its header claims {frames} x {rows} x {columns} pixels, {in_words(geometry.decoded_bytes)} "
            f"decoded; at most {in_words(limits.decoded_bytes)} are read from one file, so split it or "
            "export fewer frames"
        )
    return geometry


def check_named(dataset: Dataset, geometry: Geometry) -> None:
    """What a decoder must know beyond the geometry: no default of it is safe to guess (PS3.3 C.7.6.3).

    Raises:
        RefusedError: the header does not name it.
    """
    needed = ["SamplesPerPixel", "PhotometricInterpretation"]
    if holds(dataset, "PixelData"):
        needed += ["BitsStored", "PixelRepresentation"]
    if geometry.samples == 3:
        needed.append("PlanarConfiguration")
    for keyword in needed:
        if attribute(dataset, keyword) in (None, ""):
            raise RefusedError(f"the header names no {keyword}, which such an image needs; export it again")


def _count(dataset: Dataset, keyword: str, most: int, default: int | None = None) -> int:
    value = attribute(dataset, keyword)
    if value is None or value == "":
        if default is None:
            raise RefusedError(f"the header names no {keyword}, which every image needs; export it again")
        return default
    try:
        count = int(value)
    except (TypeError, ValueError):
        raise RefusedError(f"{keyword} is not one whole number; export the scan again") from None
    if not 1 <= count <= most:
        raise RefusedError(f"{keyword} is {count}; 1 to {most} was expected")
    return count


def check_frame_headers(frames: Iterable[bytes], geometry: Geometry) -> None:
    """Compare the size each JPEG, JPEG-LS or JPEG 2000 frame claims with the header's.

    A decoder allocates what the compressed frame says, not what the DICOM header says, so a small header
    may hide a large frame.

    Raises:
        RefusedError: too few frames, a frame without a readable size, of another size, or without an end.
    """
    seen = 0
    for frame in frames:
        size = codestream_size(frame)
        if size is None:
            raise RefusedError(f"compressed frame {seen + 1} has no readable header: the file is damaged")
        if size != (geometry.rows, geometry.columns, geometry.samples):
            raise RefusedError(
                f"compressed frame {seen + 1} is {size[0]} x {size[1]} pixels of {size[2]} samples, but the "
                f"header says {geometry.rows} x {geometry.columns} of {geometry.samples}; export it again"
            )
        # Decoders fill what is missing of a frame with something plausible and say nothing.
        if frame.rfind(b"\xff\xd9", -_TAIL) < 0:
            raise RefusedError(f"compressed frame {seen + 1} is cut short; export or copy the file again")
        seen += 1
    if seen < geometry.frames:
        raise RefusedError(f"it holds {seen} compressed frames where {geometry.frames} were expected")


def codestream_size(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, samples) from a JPEG or JPEG-LS frame header (ITU-T T.81 B.2.2, T.87 C.2.2), or from the SIZ
    marker of JPEG 2000 and HTJ2K (T.800 A.5.1); None when there is none."""
    if frame[:2] == b"\xff\xd8":
        return _jpeg_size(frame)
    start = 0 if frame[:4] == b"\xff\x4f\xff\x51" else frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start < 0 or len(frame) < start + 42:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", frame, start + 8)
    return bottom - top, right - left, struct.unpack_from(">H", frame, start + 40)[0]


def jpeg_precision(frame: bytes) -> int | None:
    """Bits a sample from a JPEG frame header (ITU-T T.81 B.2.2); None when there is none."""
    header = _jpeg_header(frame)
    return None if header is None else frame[header + 4]


def _jpeg_size(frame: bytes) -> tuple[int, int, int] | None:
    header = _jpeg_header(frame)
    if header is None:
        return None
    rows, columns = struct.unpack_from(">HH", frame, header + 5)
    return int(rows), int(columns), frame[header + 9]


def _jpeg_header(frame: bytes) -> int | None:
    """Where the marker of the frame header stands."""
    position = 2
    while position + 10 <= len(frame):
        if frame[position] != 0xFF:
            return None
        marker = frame[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # no length follows
            position += 2
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return position
        else:
            position += 2 + struct.unpack_from(">H", frame, position + 2)[0]
    return None
