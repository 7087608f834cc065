"""What a file is, told from its first bytes and never from its name."""

from __future__ import annotations

import struct
from enum import StrEnum

#: Bytes `sniff` needs to tell every kind it knows.
HEAD_BYTES = 1024


class Kind(StrEnum):
    """Kinds of file; the value is how a sentence names it."""

    DICOM = "a DICOM file"
    PNG = "a PNG picture"
    JPEG = "a JPEG picture"
    ZIP = "a ZIP archive"
    TIFF = "a TIFF picture"
    NIFTI = "a NIfTI volume"
    GZIP = "a gzip file (NIfTI volumes often come so)"
    PDF = "a PDF document"
    HTML = "a web page (HTML)"
    XML = "an XML file"
    GIF = "a GIF picture"
    BMP = "a BMP picture"
    WEBP = "a WebP picture"
    HEIF = "a HEIF picture (as phones take them; save it as JPEG)"
    VIDEO = "a video (save the frames that count as PNG)"
    JPEG2000 = "a bare JPEG 2000 picture"
    NRRD = "an NRRD volume"
    METAIMAGE = "a MetaImage volume"
    HDF5 = "an HDF5 file"
    NUMPY = "a NumPy array"
    TAR = "a tar archive (make a ZIP of the files)"
    BZIP2 = "a bzip2 archive (make a ZIP of the files)"
    XZ = "an xz archive (make a ZIP of the files)"
    SEVENZIP = "a 7-Zip archive (make a ZIP of the files)"
    RAR = "a RAR archive (make a ZIP of the files)"
    PROGRAM = "a program"
    TEXT = "a text file"
    EMPTY = "an empty file"
    UNKNOWN = "a file of unknown kind"


#: What a person may upload, for sentences.
ACCEPTED = "DICOM or NIfTI files, PNG, JPEG, TIFF or BMP pictures, or a ZIP of them"

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"II+\x00", Kind.TIFF),
    (b"MM\x00+", Kind.TIFF),
    (b"\x1f\x8b", Kind.GZIP),
    (b"%PDF-", Kind.PDF),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", Kind.JPEG2000),
    (b"\xff\x4f\xff\x51", Kind.JPEG2000),
    (b"NRRD000", Kind.NRRD),
    (b"ObjectType = Image", Kind.METAIMAGE),
    (b"\x89HDF\r\n\x1a\n", Kind.HDF5),
    (b"\x93NUMPY", Kind.NUMPY),
    (b"BZh", Kind.BZIP2),
    (b"\xfd7zXZ\x00", Kind.XZ),
    (b"7z\xbc\xaf\x27\x1c", Kind.SEVENZIP),
    (b"Rar!\x1a\x07", Kind.RAR),
    (b"\x7fELF", Kind.PROGRAM),
    (b"MZ", Kind.PROGRAM),
    (b"BM", Kind.BMP),
)
_RIFF = {b"WEBP": Kind.WEBP, b"AVI ": Kind.VIDEO}
#: Brands of pictures among the files of ISO/IEC 14496-12, most of which are videos.
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif"}
#: Two-letter value representations that can open a data set (PS3.5 6.2).
_OPENING_VR = {b"UL", b"OB", b"UI", b"CS", b"SH", b"LO", b"DA", b"TM", b"UN", b"SQ", b"US", b"AE"}


def sniff(head: bytes) -> Kind:
    """The kind of a file, from its first `HEAD_BYTES` bytes.

    DICOM is a 128-byte preamble and ``DICM`` (PS3.10 7.1); files without them are taken for DICOM when
    they open with an element of group 0002 or 0008. The preamble may look like TIFF by design, so it is
    asked first.
    """
    if not head:
        return Kind.EMPTY
    if head[128:132] == b"DICM":
        return Kind.DICOM
    if head[257:262] == b"ustar":  # it opens with the name of a file, which may look like anything
        return Kind.TAR
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return Kind.HEIF if head[8:12] in _HEIF else Kind.VIDEO
    if head[344:348] in {b"n+1\0", b"ni1\0"} or head[4:8] in {b"n+2\0", b"ni2\0"}:
        return Kind.NIFTI
    if opens_like_dicom(head):
        return Kind.DICOM
    return _textual(head)


def opens_like_dicom(head: bytes) -> bool:
    """Whether the first element is a plausible one of group 0002 or 0008, in any of the three encodings."""
    if len(head) < 8:
        return False
    little, big = struct.unpack_from("<HH", head), struct.unpack_from(">HH", head)
    if head[4:6] in _OPENING_VR:
        return any(group in {0x0002, 0x0008} and element <= 0x0100 for group, element in (little, big))
    group, element, length = struct.unpack_from("<HHI", head)
    return group in {0x0002, 0x0008} and element <= 0x0100 and 0 < length <= 256 and length % 2 == 0


def _textual(head: bytes) -> Kind:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return Kind.HTML
    if start.startswith((b"<?xml", b"<svg")):
        return Kind.XML
    printable = sum(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
    return Kind.TEXT if b"\0" not in head and printable >= 0.98 * len(head) else Kind.UNKNOWN
