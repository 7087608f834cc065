"""The outer shell of a DICOM file, read before any library parses it (PS3.10 chapter 7).

pydicom inflates a deflated data set without a bound while it parses, and takes the transfer syntax from
the same bytes an attacker wrote. So the file meta group is read here, the data set is inflated here under
a budget, and the parser gets a fresh shell with one known transfer syntax around the data set.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from types import MappingProxyType

from medmeta.scans.limits import Limits, in_words
from medmeta.scans.refusal import RefusedError

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
#: Retired JPEG processes (PS3.5 of 1998, annex A.4.1): spectral selection and full progression. The decoders of
#: extended JPEG read them, since the codestream itself tells which process it is.
READ_AS = MappingProxyType({"1.2.840.10008.1.2.4.53": JPEG_EXTENDED, "1.2.840.10008.1.2.4.55": JPEG_EXTENDED})

_LONG_VR = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SOP_CLASS, _TRANSFER_SYNTAX = 0x0002, 0x0010


@dataclass(frozen=True)
class Shell:
    """The file meta group of a DICOM file.

    Attributes:
        transfer_syntax: Transfer Syntax UID as written, or a guess from the first element where the file
            names none (PS3.10 requires it, old exports lack it).
        sop_class: Media Storage SOP Class UID, or None.
        offset: where the data set begins, in bytes.
    """

    transfer_syntax: str
    sop_class: str | None
    offset: int


def read_shell(data: bytes) -> Shell:
    """Read the file meta group, never past its end.

    Raises:
        RefusedError: an element claims more bytes than the file holds.
    """
    position = 132 if data[128:132] == b"DICM" else 0
    found: dict[int, str] = {}
    while data[position : position + 2] == b"\x02\x00" and len(data) >= position + 8:
        element = struct.unpack_from("<H", data, position + 2)[0]
        representation = data[position + 4 : position + 6]
        if representation in _LONG_VR:
            start = position + 12
            length = struct.unpack_from("<I", data, position + 8)[0] if len(data) >= start else len(data)
        elif representation.isalpha() and representation.isupper():
            start, length = position + 8, struct.unpack_from("<H", data, position + 6)[0]
        else:
            start, length = position + 8, struct.unpack_from("<I", data, position + 4)[0]
        if start + length > len(data):
            raise RefusedError("the DICOM header claims more bytes than the file holds: it is cut short")
        if element in {_SOP_CLASS, _TRANSFER_SYNTAX} and length <= 64:
            text = data[start : start + length].decode("ascii", "replace").strip("\0 ")
            found.setdefault(element, text)
        position = start + length
    syntax = found.get(_TRANSFER_SYNTAX) or _guess(data[position : position + 8])
    return Shell(syntax, found.get(_SOP_CLASS), position)


def fresh_file(data: bytes, shell: Shell, limits: Limits) -> bytes:
    """The data set in a new shell that holds nothing but the transfer syntax; inflated where deflated.

    Raises:
        RefusedError: the deflated data set is damaged or grows beyond the budget.
    """
    if shell.transfer_syntax == DEFLATED:
        return _shell_bytes(EXPLICIT_LITTLE) + _inflate(data, shell.offset, limits)
    head = _shell_bytes(READ_AS.get(shell.transfer_syntax, shell.transfer_syntax))
    return b"".join((head, memoryview(data)[shell.offset :]))


def _inflate(data: bytes, offset: int, limits: Limits) -> bytes:
    budget = limits.inflated(len(data) - offset, limits.decoded_bytes)
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = engine.decompress(memoryview(data)[offset:], budget + 1)
    except zlib.error:
        raise RefusedError("its deflated data set is damaged; export it again, uncompressed") from None
    if len(content) > budget:
        raise RefusedError(
            f"its deflated data set grows from {in_words(len(data) - offset)} to more than "
            f"{in_words(budget)}, as no scan does; export it uncompressed"
        )
    if not engine.eof:
        raise RefusedError("its deflated data set is cut short; export or copy the file again")
    return content


def _guess(head: bytes) -> str:
    if len(head) >= 6 and head[4:6].isalpha() and head[4:6].isupper():
        return EXPLICIT_BIG if head[0] == 0 and head[1] != 0 else EXPLICIT_LITTLE
    return IMPLICIT_LITTLE


def _shell_bytes(transfer_syntax: str) -> bytes:
    uid = transfer_syntax.encode("ascii")
    uid += b"\0" * (len(uid) % 2)
    element = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(uid)) + uid
    return b"\0" * 128 + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(element)) + element
