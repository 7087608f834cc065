"""Folders, ZIPs and loose files as one list of members, each read whole and never past its budget.

ZIP rules: capped entries and sizes measured while unpacking (headers lie), no links, no encryption, no
absolute or climbing names, no ZIP within a ZIP. Nothing is ever unpacked to disk.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from medmeta.scans.limits import Limits, in_words
from medmeta.scans.office import check_no_office_file
from medmeta.scans.refusal import RefusedError
from medmeta.scans.scan import Rejection
from medmeta.scans.sniff import HEAD_BYTES, Kind, sniff

_JUNK = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}
_ENTRY_BYTES = 512


@dataclass(frozen=True)
class Source:
    """Something uploaded: a name with ``/`` between folders, and how to open its bytes."""

    name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class Member:
    """One file to read. ``read()`` gives all its bytes or raises `RefusedError`; ``kind`` is by its first bytes."""

    name: str
    read: Callable[[], bytes]
    kind: Kind
    in_zip: bool = False


def source_of(name: str, data: bytes | BinaryIO) -> Source:
    """An uploaded name with its bytes or an open, seekable binary file, which stays open."""
    if isinstance(data, bytes | bytearray | memoryview):
        return Source(name, lambda: io.BytesIO(data))
    return Source(name, lambda: nullcontext(data))


def walk_folder(folder: Path, limits: Limits) -> Iterator[Source | Rejection]:
    """Files below a folder in name order; links are refused, not followed."""
    count = 0
    for here, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        inside = Path(here)
        for name in sorted([*files, *(each for each in folders if (inside / each).is_symlink())]):
            path = inside / name
            relative = path.relative_to(folder).as_posix()
            if is_junk(relative):
                continue
            if path.is_symlink() or not path.is_file():
                yield Rejection(shown(relative), "is a link or no ordinary file; copy the file itself here")
                continue
            count += 1
            if count > limits.upload_files:
                yield Rejection(
                    folder.name, f"holds more than {limits.upload_files} files; the rest was not read"
                )
                return
            yield Source(relative, lambda path=path: path.open("rb"))  # type: ignore[misc]


def expand(
    sources: Iterable[Source], limits: Limits, stack: ExitStack
) -> tuple[list[Member], list[Rejection]]:
    """All files of an upload, ZIPs opened, in name order; junk left out.

    A ZIP that came alone (beside a labels.csv at most) is transparent; one among others becomes a folder
    named after it, so equal names stay apart. Opened ZIPs are closed by ``stack``.
    """
    known = [source for source in sources if not is_junk(source.name)]
    alone = sum(not is_labels(source.name) for source in known) == 1
    members: list[Member] = []
    rejected: list[Rejection] = []
    for source in known:
        with source.open() as stream:
            stream.seek(0)
            kind = sniff(stream.read(HEAD_BYTES))
        if kind is not Kind.ZIP:
            members.append(Member(normal(source.name), _whole(source, limits), kind))
            continue
        try:
            stream = stack.enter_context(source.open())
            prefix = "" if alone else normal(source.name).removesuffix(".zip").removesuffix(".ZIP") + "/"
            inside, refused = _zip_members(stream, prefix, limits, stack)
        except RefusedError as problem:
            rejected.append(Rejection(shown(source.name), str(problem)))
            continue
        if not (inside or refused or alone):
            refused = [Rejection(shown(source.name), "is a ZIP archive without a file that could be a scan")]
        members += inside
        rejected += refused
    if len(members) > limits.upload_files:
        late = members[limits.upload_files]
        rejected.append(
            Rejection(
                shown(late.name),
                f"the upload holds more than {limits.upload_files} files; the rest was not read",
            )
        )
    return sorted(members[: limits.upload_files], key=lambda member: member.name), rejected


def normal(name: str) -> str:
    """A name in NFC with ``/`` between its parts and no empty, ``.`` or ``..`` part; still never a path."""
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    return shown("/".join(part for part in parts if part not in ("", ".", "..")))


def shown(name: str) -> str:
    """A name fit to show: control characters replaced, at most 300 characters."""
    clean = name
    if not name.isprintable():
        clean = "".join("\N{REPLACEMENT CHARACTER}" if is_control(letter) else letter for letter in name)
    return clean if len(clean) <= 300 else f"...{clean[-297:]}"


def is_control(letter: str) -> bool:
    """Whether a character steers text instead of being read: controls, surrogates, direction marks, line ends.

    The joiners (U+200C, U+200D) are part of Persian and Indic words and are let through.
    """
    steering = unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return steering and letter not in ("\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}")


def is_junk(name: str) -> bool:
    """Whether a file is one that systems leave behind: hidden, ``__MACOSX``, ``Thumbs.db`` and the like."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return any(part.startswith(".") or part.lower() in _JUNK for part in parts)


def is_labels(name: str) -> bool:
    """Whether a file is a table of labels, by its name."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].lower() == "labels.csv"


def _whole(source: Source, limits: Limits) -> Callable[[], bytes]:
    def read() -> bytes:
        with source.open() as stream:
            size = stream.seek(0, os.SEEK_END)
            if size > limits.file_bytes:
                raise RefusedError(
                    f"is larger than {in_words(limits.file_bytes)}, the most that is read of one file"
                )
            stream.seek(0)
            return stream.read(size)  # asked for more, an open file makes room for more

    return read


def _zip_members(
    stream: BinaryIO, prefix: str, limits: Limits, stack: ExitStack
) -> tuple[list[Member], list[Rejection]]:
    if _directory_bytes(stream) > limits.zip_entries * _ENTRY_BYTES:
        raise RefusedError(f"holds more than {limits.zip_entries} entries; split it")
    try:
        archive = stack.enter_context(zipfile.ZipFile(stream))
        entries = archive.infolist()
        check_no_office_file(archive)
    except RefusedError:
        raise
    except Exception:  # the library lets a dozen kinds out of damaged archives
        raise RefusedError("is a damaged ZIP archive; make it again") from None
    if len(entries) > limits.zip_entries:
        raise RefusedError(
            f"holds {len(entries)} entries; at most {limits.zip_entries} are read, so split it"
        )
    left = [limits.zip_bytes]
    members, rejected = [], []
    for entry in entries:
        name = _entry_name(entry)
        if entry.is_dir() or is_junk(name):
            continue
        if reason := _entry_fault(entry, name):
            rejected.append(Rejection(shown(prefix + name), reason))
        else:
            read = _entry_reader(archive, entry, left, limits)
            kind = _entry_kind(archive, entry)
            members.append(Member(prefix + normal(name), read, kind, in_zip=True))
    return members, rejected


def _entry_name(entry: zipfile.ZipInfo) -> str:
    """macOS writes UTF-8 without the flag that says so, and the library then reads it as code page 437."""
    if entry.flag_bits & 0x800:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _entry_fault(entry: zipfile.ZipInfo, name: str) -> str | None:
    name = name.replace("\\", "/")
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
        return "its name in the ZIP leads outside the archive; make the ZIP again from a plain folder"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link or no ordinary file inside the ZIP; put the file itself in"
    if entry.flag_bits & 0x1:
        return "is encrypted; make the ZIP without a password"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way this program does not open; make an ordinary ZIP"
    return None


def _entry_kind(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Kind:
    """By the first bytes alone: the library unpacks no more than it is asked for, so a large file costs no more."""
    try:
        with archive.open(entry) as stream:
            return sniff(stream.read(HEAD_BYTES))
    except Exception:  # what is damaged is refused with a reason when it is read
        return Kind.UNKNOWN


def _entry_reader(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: list[int], limits: Limits
) -> Callable[[], bytes]:
    def read() -> bytes:
        cap = limits.inflated(entry.compress_size, limits.file_bytes)
        try:
            with archive.open(entry) as stream:
                data = stream.read(min(cap, left[0]) + 1)
        except Exception:  # a header offset below zero is a ValueError, and so on
            raise RefusedError("is damaged inside the ZIP; make the ZIP again") from None
        left[0] -= len(data)
        if left[0] < 0:
            raise RefusedError(f"the ZIP unpacks to more than {in_words(limits.zip_bytes)}; split it")
        if len(data) > cap:
            raise RefusedError(
                f"grows from {in_words(entry.compress_size)} to more than {in_words(cap)} when unpacked, as no "
                "scan does; upload it without packing"
            )
        return data

    return read


def _directory_bytes(stream: BinaryIO) -> int:
    """Claimed size of the ZIP's central directory, which the library would read and parse whole."""
    stream.seek(0, os.SEEK_END)
    size = stream.tell()
    stream.seek(max(0, size - 66_000))
    tail = stream.read(66_000)
    stream.seek(0)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise RefusedError("is a damaged ZIP archive; make it again")
    claimed = struct.unpack_from("<I", tail, end + 12)[0]
    far = tail.rfind(b"PK\x06\x06", 0, end)
    if far >= 0 and len(tail) >= far + 48:
        claimed = max(struct.unpack_from("<Q", tail, far + 40)[0], 0 if claimed == 0xFFFFFFFF else claimed)
    return int(claimed)
