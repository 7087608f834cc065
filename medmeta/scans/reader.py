"""One file's bytes to a `Scan`, whatever kind it is."""

from __future__ import annotations

from collections.abc import Callable

from medmeta.errors import ScanRejectedError
from medmeta.scans.dicom import read_dicom
from medmeta.scans.limits import Limits
from medmeta.scans.nifti import read_nifti
from medmeta.scans.picture import read_picture
from medmeta.scans.scan import Scan
from medmeta.scans.sniff import ACCEPTED, HEAD_BYTES, Kind, sniff
from medmeta.scans.tiff import read_tiff

#: What `read_file` reads; of gzip files those that hold a NIfTI volume.
READABLE = frozenset((Kind.DICOM, Kind.PNG, Kind.JPEG, Kind.BMP, Kind.TIFF, Kind.NIFTI, Kind.GZIP))

#: ``reader(data, file, key) -> Scan``; raises `ScanRejectedError`.
Reader = Callable[[bytes, str, bytes], Scan]


def read_file(data: bytes, file: str, key: bytes, limits: Limits | None = None) -> Scan:
    """Read a DICOM or NIfTI file, or a PNG, JPEG, TIFF or BMP picture, in this very process.

    For files of trusted origin, tests and benchmarks; uploads go through `medmeta.scans.isolate`.

    Raises:
        ScanRejectedError: the file is of another kind, or its reader refuses it.
    """
    kind = sniff(data[:HEAD_BYTES])
    if kind is Kind.DICOM:
        return read_dicom(data, file, key=key, limits=limits)
    if kind in (Kind.PNG, Kind.JPEG, Kind.BMP):
        return read_picture(data, file, limits=limits)
    if kind is Kind.TIFF:
        return read_tiff(data, file, limits=limits)
    if kind in (Kind.NIFTI, Kind.GZIP):
        return read_nifti(data, file, limits=limits)
    raise ScanRejectedError(file, f"is {kind.value}; expected {ACCEPTED}")


def in_process(limits: Limits | None = None) -> Reader:
    """A `Reader` without a process of its own; see `read_file` for when it is the right one."""
    return lambda data, file, key: read_file(data, file, key, limits)
