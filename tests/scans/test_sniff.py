"""Kinds of files told from their first bytes."""

from __future__ import annotations

import gzip
import io
import struct

import pytest
from dicom_files import dicom, gradient, zipped
from PIL import Image

from medmeta.scans.geometry import codestream_size
from medmeta.scans.limits import in_words
from medmeta.scans.sniff import Kind, sniff


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (30, 20)).save(out, kind)
    return out.getvalue()


NIFTI = struct.pack("<i", 348) + b"\0" * 340 + b"n+1\0"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (dicom(gradient()), Kind.DICOM),
        (dicom(gradient())[132:], Kind.DICOM),
        (b"II*\0" + b"\0" * 124 + b"DICM" + b"\2\0\0\0UL\4\0", Kind.DICOM),
        (b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100", Kind.DICOM),
        (b"\x00\x08\x00\x05CS\x00\x0aISO_IR 100", Kind.DICOM),
        (picture("PNG"), Kind.PNG),
        (picture("JPEG"), Kind.JPEG),
        (picture("TIFF"), Kind.TIFF),
        (picture("GIF"), Kind.GIF),
        (picture("BMP"), Kind.BMP),
        (picture("WEBP"), Kind.WEBP),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1miaf", Kind.HEIF),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Kind.HEIF),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", Kind.VIDEO),
        (b"RIFF\x24\0\0\0AVI LIST", Kind.VIDEO),
        (picture("JPEG2000"), Kind.JPEG2000),
        (zipped({"a": b"b"}), Kind.ZIP),
        (zipped({}), Kind.ZIP),
        (gzip.compress(NIFTI, mtime=0), Kind.GZIP),
        (NIFTI, Kind.NIFTI),
        (b"%PDF-1.4", Kind.PDF),
        (b"  <HTML><body>", Kind.HTML),
        (b"<?xml version='1.0'?>", Kind.XML),
        (b"plain words", Kind.TEXT),
        (b"\x00\x01\x02\x03" * 40, Kind.UNKNOWN),
        (b"", Kind.EMPTY),
    ],
)
def test_kinds(data: bytes, kind: Kind) -> None:
    assert sniff(data[:1024]) is kind


def test_sizes_inside_compressed_frames() -> None:
    assert codestream_size(picture("JPEG")) == (20, 30, 3)
    assert codestream_size(picture("JPEG2000")) == (20, 30, 3)
    assert codestream_size(b"\xff\xd8\xff\xe0\xff\xff") is None
    assert codestream_size(b"") is None


def test_bytes_in_words() -> None:
    assert [in_words(n) for n in (5, 2048, 512 * 2**20, 3 * 2**30)] == [
        "5 bytes",
        "2 KiB",
        "512 MiB",
        "3 GiB",
    ]
