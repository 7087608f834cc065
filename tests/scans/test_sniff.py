"""Kinds of files told from their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
from collections.abc import Callable

import pytest
from dicom_files import KEY, dicom, gradient, zipped
from PIL import Image

from medmeta.errors import ScanRejectedError
from medmeta.scans.geometry import codestream_size
from medmeta.scans.limits import in_words
from medmeta.scans.reader import read_file
from medmeta.scans.sniff import Kind, sniff


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (30, 20)).save(out, kind)
    return out.getvalue()


def tarred(name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"bytes"))
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
        (tarred("BM.png"), Kind.TAR),
        (bz2.compress(tarred("a")), Kind.BZIP2),
        (lzma.compress(tarred("a")), Kind.XZ),
        (b"7z\xbc\xaf\x27\x1c", Kind.SEVENZIP),
        (b"Rar!\x1a\x07\x01\x00", Kind.RAR),
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


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_archives_of_other_kinds_are_told_what_to_become(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ScanRejectedError, match="make a ZIP of the files") as refused:
        read_file(pack(tarred("a/1.png")), "scans", KEY)
    assert "upload it unpacked" not in refused.value.reason


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
