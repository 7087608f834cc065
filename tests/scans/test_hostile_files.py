"""Files made to do harm are refused quickly, with a reason, and never take the program down."""

from __future__ import annotations

import io
import os
import pickle
import stat
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from dicom_files import KEY, dataset, dicom, encoded, gradient, zipped
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from medmeta.errors import ScanRejectedError
from medmeta.scans.dicom import read_dicom
from medmeta.scans.intake import iter_intake, read_source
from medmeta.scans.limits import MIB, Limits
from medmeta.scans.picture import read_picture
from medmeta.scans.reader import in_process
from medmeta.scans.scan import LabelledScan, Rejection


def refusal(data: bytes, limits: Limits | None = None) -> str:
    start = time.perf_counter()
    with pytest.raises(ScanRejectedError) as caught:
        read_dicom(data, "IM1", key=KEY, limits=limits)
    assert time.perf_counter() - start < 1.0
    assert caught.value.file == "IM1"
    return caught.value.reason


def take(uploads: list[tuple[str, bytes]], limits: Limits | None = None) -> tuple[list[str], dict[str, str]]:
    found = list(iter_intake(uploads, key=KEY, limits=limits, reader=in_process(limits)))
    good = [item.scan.file for item in found if isinstance(item, LabelledScan)]
    return good, {item.file: item.reason for item in found if isinstance(item, Rejection)}


def test_false_size_is_refused_before_decoding() -> None:
    assert "Rows" in refusal(dicom(gradient(), Rows=65535, Columns=65535))
    assert "cut short" in refusal(dicom(gradient(), Rows=12000, Columns=12000))
    assert "decoded" in refusal(dicom(gradient(), Rows=20000, Columns=20000))
    assert "NumberOfFrames" in refusal(dicom(gradient(), NumberOfFrames=2**31 - 1))
    assert "Rows" in refusal(dicom(gradient(), Rows=0))


@pytest.mark.parametrize("deflated", [True, False])
def test_deflate_bomb(deflated: bool) -> None:
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = engine.compress(b"\0" * (100 * MIB)) + engine.flush()
    assert len(body) < 0.12 * MIB
    uid = b"1.2.840.10008.1.2.1.99"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    # Two transfer syntaxes: whichever a parser picks, nothing may inflate without a bound.
    plain = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    reason = refusal(b"\0" * 128 + b"DICM" + (meta if deflated else plain + meta) + body)
    assert ("grows" in reason) == deflated


def test_a_frame_larger_than_the_header_says() -> None:
    huge = (
        b"\xff\x4f\xff\x51"
        + struct.pack(">HHIIIIIIIIH", 41, 0, 60000, 60000, 0, 0, 60000, 60000, 0, 0, 1)
        + b"\x07\1\1"
    )
    made = dataset(gradient(kind="u1"))
    made.file_meta.TransferSyntaxUID = JPEG2000Lossless
    made.PixelData = encapsulate([huge])
    assert "60000 x 60000" in refusal(encoded(made))
    made.PixelData = encapsulate([b"no codestream at all"])
    assert "damaged" in refusal(encoded(made))


def test_fewer_frames_than_claimed() -> None:
    out = io.BytesIO()
    Image.fromarray(gradient(kind="u1")).save(out, "JPEG")
    made = dataset(gradient(kind="u1"), NumberOfFrames=3)
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.PixelData = encapsulate([out.getvalue()])
    assert "frames" in refusal(encoded(made))


def test_every_truncation_is_refused_and_none_crashes() -> None:
    noise = np.random.default_rng(0).integers(0, 4096, (72, 68)).astype("<u2")
    for syntax in (None, JPEG2000Lossless, JPEGLSLossless, RLELossless):
        made = dataset(noise)
        if syntax:
            made.compress(syntax)
        data = encoded(made)
        for cut in range(0, len(data) - 80, len(data) // 100):
            with pytest.raises(ScanRejectedError):
                in_process()(data[:cut], "IM1", KEY)


def test_a_file_cut_before_its_rows_is_called_cut_short() -> None:
    whole = dicom(gradient())
    before_rows = whole.index(struct.pack("<HH", 0x0028, 0x0010))
    assert "cut short" in refusal(whole[:before_rows])


def test_a_file_cut_inside_its_compressed_pixels_is_called_cut_short() -> None:
    """Of such a file pydicom keeps not one element; only the file meta says what it was."""
    made = dataset(gradient())
    made.compress(RLELossless)
    assert "cut short" in refusal(encoded(made)[:-40])


def test_random_damage_never_escapes() -> None:
    random = np.random.default_rng(0)
    made = dataset(gradient(), RescaleSlope=2, RescaleIntercept=1, PatientName="PHI-CANARY")
    good = np.frombuffer(encoded(made), np.uint8)
    for _ in range(300):
        bad = good.copy()
        places = random.integers(132, len(good) - 960, 4)
        bad[places] = random.integers(0, 256, 4)
        try:
            said = repr(in_process()(bad.tobytes(), "IM1", KEY))
        except ScanRejectedError as problem:
            said = str(problem)
        assert "CANARY" not in said


def test_damaged_run_lengths_never_escape() -> None:
    random = np.random.default_rng(0)
    made = dataset(random.integers(0, 3, (72, 68)).astype("<u2"))
    made.compress(RLELossless)
    good = np.frombuffer(encoded(made), np.uint8)
    refused = 0
    for _ in range(200):
        bad = good.copy()
        bad[random.integers(len(good) - 2000, len(good) - 20, 3)] = random.integers(0, 256, 3)
        try:
            in_process()(bad.tobytes(), "IM1", KEY)
        except ScanRejectedError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("tag", [(0x0028, 0x3000), (0x5200, 0x9230), (0x0008, 0x1140)])
def test_sequences_nested_without_end(tag: tuple[int, int]) -> None:
    """A parser that follows each into the next must stop before its stack does (PS3.5 7.5)."""
    opening = struct.pack("<HH2sHI", *tag, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    whole = dicom(gradient())
    place = whole.index(struct.pack("<HH", 0x7FE0, 0x0010))
    assert refusal(whole[:place] + opening * 100_000)


def test_unknown_transfer_syntax_is_not_repeated() -> None:
    made = dataset(gradient())
    data = encoded(made).replace(b"1.2.840.10008.1.2.1\0", b"1.2.3.PHI-CANARY.999")
    assert "CANARY" not in refusal(data)


def test_foreign_exceptions_leave_no_chain() -> None:
    data = dicom(gradient()).replace(b"MONOCHROME2 ", b"PHI-CANARY  ")
    with pytest.raises(ScanRejectedError) as caught:
        read_dicom(data, "IM1", key=KEY)
    assert "CANARY" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_zip_bomb_and_its_neighbours() -> None:
    data = zipped({"a/bomb": b"\0" * (64 * MIB), "a/good": dicom(gradient()), "b/x.zip": zipped({"y": b"z"})})
    good, bad = take([("scans.zip", data)])
    assert good == ["a/good"]
    assert "grows" in bad["a/bomb"]
    assert "ZIP inside a ZIP" in bad["b/x.zip"]


def test_zip_with_a_false_size_in_its_header() -> None:
    data = bytearray(zipped({"a/bomb": b"\0" * (64 * MIB)}))
    central = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, central + 24, 100)
    struct.pack_into("<I", data, 22, 100)
    _, bad = take([("scans.zip", bytes(data))])
    assert set(bad) == {"a/bomb"}


def test_zip_whose_entry_begins_before_the_file() -> None:
    """The place of an entry is reckoned from where the directory says it begins, and may come out below zero."""
    data = bytearray(zipped({"a/bad": dicom(gradient()), "a/good": dicom(gradient())}))
    end = data.rfind(b"PK\x05\x06")
    entry = data.find(b"PK\x01\x02")
    good = data.find(b"PK\x01\x02", entry + 4)
    start = struct.unpack_from("<I", data, end + 16)[0]
    struct.pack_into("<I", data, end + 16, start + 100)  # a hundred bytes are missing, says the directory
    where = struct.unpack_from("<I", data, good + 42)[0]
    struct.pack_into("<I", data, good + 42, where + 100)
    good_files, bad = take([("scans.zip", bytes(data))])
    assert good_files == ["a/good"]
    assert "damaged inside the ZIP" in bad["a/bad"]


def test_zip_names_links_and_passwords() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("../up", "/etc/abs", "a/../../b", "C:/win", "..\\back"):
            archive.writestr(name, dicom(gradient()))
        link = zipfile.ZipInfo("a/link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        secret = zipfile.ZipInfo("a/secret")
        archive.writestr(secret, b"x")
        archive.writestr("a/good", dicom(gradient()))
    data = bytearray(out.getvalue())
    entry = data.index(b"a/secret", data.index(b"PK\x01\x02")) - 46
    data[entry + 8] |= 1
    good, bad = take([("scans.zip", bytes(data))])
    assert good == ["a/good"]
    assert sum("outside" in reason for reason in bad.values()) == 5
    assert "link" in bad["a/link"]
    assert "encrypted" in bad["a/secret"]


def test_zip_budgets() -> None:
    files = {f"a/{n}": dicom(gradient() + n) for n in range(6)}
    longest = max(map(len, files.values()))  # the UIDs in them are random, and not all of one length
    _, bad = take([("scans.zip", zipped(files))], Limits(zip_entries=5))
    assert "entries" in bad["scans.zip"]
    good, bad = take([("scans.zip", zipped(files))], Limits(zip_bytes=4 * longest))
    assert (len(good), len(bad)) == (4, 2)
    good, bad = take(list(files.items()), Limits(upload_bytes=3 * longest))
    assert (len(good), len(bad)) == (3, 3)
    good, bad = take(list(files.items()), Limits(upload_files=2))
    assert (len(good), len(bad)) == (2, 1)
    good, bad = take(list(files.items()), Limits(file_bytes=100))
    assert (len(good), len(bad)) == (0, 6)


def test_entries_that_share_their_bytes_count_each() -> None:
    """Many names for one packed run: the ZIP is small, what it unpacks to is not."""
    data = dicom(gradient())
    archive = zipped({"a/0": data}, zipfile.ZIP_DEFLATED)
    start = archive.rfind(b"PK\x01\x02")
    end = archive.rfind(b"PK\x05\x06")
    entry = archive[start:end]
    local = archive[:start].replace(b"a/0", b"a/x")
    entries = b"".join(entry.replace(b"a/0", f"a/{place}".encode()) for place in range(9))
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, len(entries), len(local), 0)
    good, bad = take([("scans.zip", archive[:start] + entries + tail)], Limits(zip_bytes=4 * len(data)))
    assert good == ["a/0"]  # the others do not bear the name that stands before the bytes
    assert len(bad) == 8


def test_a_directory_of_a_million_entries_is_not_parsed() -> None:
    body = b"PK\x03\x04" + b"\0" * 26 + b"PK\x01\x02" * 8_000_000
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 65535, 65535, len(body) - 30, 30, 0)
    start = time.perf_counter()
    _, bad = take([("scans.zip", body + end)])
    assert "entries" in bad["scans.zip"]
    assert time.perf_counter() - start < 1.0


def test_links_in_folders_are_not_followed(tmp_path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "IM9").write_bytes(dicom(gradient()))
    scans = tmp_path / "scans" / "a"
    scans.mkdir(parents=True)
    (scans / "IM1").write_bytes(dicom(gradient()))
    (scans / "link").symlink_to(tmp_path / "outside" / "IM9")
    (scans / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(scans / "pipe")
    intake = read_source(tmp_path / "scans", key=KEY, reader=in_process())
    assert [item.scan.file for item in intake.accepted] == ["a/IM1"]
    assert {each.file for each in intake.rejected} == {"a/link", "a/folder", "a/pipe"}


def test_pickles_and_programs_are_refused() -> None:
    uploads = [("a/x.dcm", pickle.dumps([1])), ("a/y.png", b"\x7fELF" + b"\0" * 500), ("a/z", b"")]
    good, bad = take(uploads)
    assert good == []
    assert "program" in bad["a/y.png"]
    assert "empty" in bad["a/z"]


def test_picture_bombs() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for side in (12_000, 20_000, 2**31 - 1):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        data = (
            b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
        )
        with pytest.raises(ScanRejectedError, match="pixels"):
            read_picture(data, "x.png")
    out = io.BytesIO()
    Image.new("L", (50, 40), 9).save(out, "PNG")
    with pytest.raises(ScanRejectedError):
        read_picture(out.getvalue()[:-30], "x.png")
    out = io.BytesIO()
    Image.new("L", (50, 40), 9).save(out, "TIFF")
    with pytest.raises(ScanRejectedError, match="PNG, JPEG or BMP"):
        read_picture(out.getvalue(), "x.png")
