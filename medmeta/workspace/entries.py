"""One scan of one task in the database: to a row and back to an `Entry` or a `Scan`."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from medmeta.scans.scan import Scan, VoiTable
from medmeta.scans.series import is_slice
from medmeta.workspace.blobs import BlobStore
from medmeta.workspace.records import Entry, TaskInfo

#: Longest label, patient name or task name kept; longer text is cut.
NAME_LENGTH = 80
#: Characters of a row's facts that are kept parsed; longer ones hold a VOI LUT.
_KEPT_TEXT = 4096


def clean_name(text: str | None, length: int = NAME_LENGTH) -> str | None:
    """A name on one line without control characters; None where nothing is left."""
    if text is None:
        return None
    plain = text
    if not text.isprintable():
        plain = "".join(
            " " if char.isspace() else char
            for char in text
            if char.isspace() or unicodedata.category(char)[0] != "C"
        )
    return " ".join(plain.split())[:length].strip() or None


def meta_of(scan: Scan) -> dict[str, Any]:
    """What is kept of a scan beside its pixels; permitted tags only, as the intake gave them."""
    return {
        "modality": scan.modality,
        "rows": scan.rows,
        "columns": scan.columns,
        "frames": scan.frames,
        "transfer_syntax": scan.transfer_syntax,
        "unit": scan.unit,
        "window": list(scan.window) if scan.window is not None else None,
        "window_function": scan.window_function,
        "voi_table": None if scan.voi_table is None else [scan.voi_table.first, scan.voi_table.shades.hex()],
        "padding": list(scan.padding) if scan.padding is not None else None,
        "monochrome1": scan.monochrome1,
        "tags": dict(scan.tags),
        "warnings": list(scan.warnings),
    }


def thumbnail_variant(meta: Mapping[str, Any]) -> str:
    """Name of the thumbnail of these pixels shown this way: equal pixels may be shown inverted."""
    shown = json.dumps([meta["window"], meta["monochrome1"], *_curve(meta)])
    return hashlib.sha256(shown.encode()).hexdigest()[:8]


def _curve(meta: Mapping[str, Any]) -> list[Any]:
    """What else changes the picture; nothing for a plain window, whose thumbnails keep their old names."""
    curve = [meta.get("window_function", "LINEAR"), meta.get("voi_table"), meta.get("padding")]
    return [] if curve == ["LINEAR", None, None] else curve


def insert(
    connection: sqlite3.Connection,
    task_id: str,
    scan: Scan,
    meta: Mapping[str, Any],
    *,
    label: str | None,
    group: str,
    role: str,
) -> None:
    """Add the row of a scan, ``meta`` its `meta_of`; a removed row of the same pixels gives way for good."""
    connection.execute(
        "DELETE FROM entry WHERE task_id = ? AND scan_id = ? AND deleted = 1", (task_id, scan.id)
    )
    connection.execute(
        "INSERT INTO entry (task_id, scan_id, file, label, grp, group_source, role, series, meta) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            task_id,
            scan.id,
            scan.file,
            label,
            group,
            scan.group_source,
            role,
            scan.series if is_slice(scan) else "",
            json.dumps(meta),
        ),
    )


def entry_of(row: sqlite3.Row) -> Entry:
    meta = read_meta(row["meta"])
    return Entry(
        id=row["id"],
        task_id=row["task_id"],
        scan_id=row["scan_id"],
        file=row["file"],
        label=row["label"],
        group=row["grp"],
        group_source=row["group_source"],
        role=row["role"],
        modality=meta["modality"],
        rows=meta["rows"],
        columns=meta["columns"],
        frames=meta["frames"],
        transfer_syntax=meta["transfer_syntax"],
        warnings=tuple(meta["warnings"]),
        tags=meta["tags"],
        series=row["series"],
        marked=bool(row["marked"]),
    )


def read_meta(text: str) -> dict[str, Any]:
    """What `meta_of` wrote, not to be changed: rows of a page are asked for at every click, and hardly ever differ."""
    return _parsed(text) if len(text) <= _KEPT_TEXT else json.loads(text)


@lru_cache(maxsize=8192)
def _parsed(text: str) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(text)
    return meta


def scan_of(row: sqlite3.Row, blobs: BlobStore) -> Scan:
    """The scan with its pixels memory-mapped.

    Raises:
        WorkspaceError: the stored pixels are gone or damaged.
    """
    meta = json.loads(row["meta"])
    table, padding = meta.get("voi_table"), meta.get("padding")  # absent from rows of earlier versions
    return Scan(
        file=row["file"],
        pixels=blobs.pixels(row["scan_id"], row["file"]),
        group=row["grp"],
        group_source=row["group_source"],
        tags=meta["tags"],
        transfer_syntax=meta["transfer_syntax"],
        unit=meta["unit"],
        window=tuple(meta["window"]) if meta["window"] is not None else None,
        window_function=meta.get("window_function", "LINEAR"),
        voi_table=None if table is None else VoiTable(table[0], bytes.fromhex(table[1])),
        padding=None if padding is None else (padding[0], padding[1]),
        monochrome1=meta["monochrome1"],
        warnings=tuple(meta["warnings"]),
        id=row["scan_id"],
        series=row["series"],
    )


#: One row a task with the counts its card shows.
TASK_ROWS = """
SELECT task.*,
    COUNT(DISTINCT CASE WHEN role = 'support' THEN COALESCE(NULLIF(series, ''), entry.id) END) AS support,
    COUNT(DISTINCT CASE WHEN role = 'support' AND label IS NOT NULL
        THEN COALESCE(NULLIF(series, ''), entry.id) END) AS labelled,
    COUNT(DISTINCT CASE WHEN role = 'query' THEN COALESCE(NULLIF(series, ''), entry.id) END) AS query,
    COUNT(DISTINCT CASE WHEN role = 'support' THEN label END) AS classes,
    COUNT(DISTINCT CASE WHEN role = 'support' THEN grp END) AS patients
FROM task LEFT JOIN entry ON entry.task_id = task.id AND entry.deleted = 0
"""


def task_of(row: sqlite3.Row) -> TaskInfo:
    return TaskInfo(
        id=row["id"],
        name=row["name"],
        synthetic=bool(row["synthetic"]),
        created=row["created"],
        used=row["used"],
        support=row["support"],
        labelled=row["labelled"],
        query=row["query"],
        classes=row["classes"],
        patients=row["patients"],
    )
