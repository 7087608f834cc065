"""Office files, which are ZIP archives by their bytes: what to call them, so that none is unpacked as scans."""

from __future__ import annotations

import zipfile

from medmeta.scans.refusal import RefusedError
from medmeta.scans.sniff import ACCEPTED

#: Every file of ECMA-376 (docx, xlsx, pptx) lists its parts here.
_PARTS = "[Content_Types].xml"
SHEET = "is a spreadsheet; save the sheet as labels.csv (CSV UTF-8)"
DOCUMENT = f"is an office document and no ZIP of scans; choose {ACCEPTED}"


def check_no_office_file(archive: zipfile.ZipFile) -> None:
    """Refuse xlsx, docx and the like, and OpenDocument files, whose first entry says so.

    Raises:
        RefusedError: with what the file is.
    """
    names = archive.namelist()
    if _PARTS in names:
        raise RefusedError(SHEET if any(name.startswith("xl/") for name in names) else DOCUMENT)
    if names[:1] == ["mimetype"]:
        with archive.open(names[0]) as stream:
            said = stream.read(100)
        if said.startswith(b"application/"):
            raise RefusedError(SHEET if b"spreadsheet" in said else DOCUMENT)


def nested(data: bytes) -> str | None:
    """What to say of an office file inside a ZIP, told without opening it; None for other archives."""
    if _PARTS.encode() in data:
        return SHEET if b"xl/workbook" in data else DOCUMENT
    if data[30:50] == b"mimetypeapplication/":
        return SHEET if b"spreadsheet" in data[38:138] else DOCUMENT
    return None
