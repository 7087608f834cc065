"""From uploaded files to entries of a task: what is new, what is there already, what contradicts it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from medmeta.errors import MedMetaError
from medmeta.progress import Progress
from medmeta.scans.display import thumbnail
from medmeta.scans.intake import iter_intake
from medmeta.scans.scan import LabelledScan, Rejection
from medmeta.workspace import edits, entries
from medmeta.workspace.blobs import BlobStore
from medmeta.workspace.database import Database
from medmeta.workspace.records import Role, UploadSummary

#: A file's name and its bytes, or an open file positioned at its start.
Upload = tuple[str, bytes | BinaryIO]

_WHERE = {
    "support": "among the scans to learn from",
    "query": "among the test scans",
    "predict": "among the new scans",
}


@dataclass
class _Tally:
    accepted: int = 0
    duplicates: int = 0
    relabelled: dict[int, str] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def take_in(
    database: Database,
    blobs: BlobStore,
    key: bytes,
    task_id: str,
    uploads: Iterable[Upload],
    role: Role,
    progress: Progress,
) -> UploadSummary:
    """Read, de-identify and keep uploads one scan at a time; refused files are kept as notices.

    What was taken in before a cancel or an error stays: every scan is its own transaction.

    Raises:
        CancelledError: ``progress`` asked to stop.
    """
    tally = _Tally()
    try:
        for found in iter_intake(uploads, key=key, progress=progress):
            if isinstance(found, LabelledScan):
                _keep(database, blobs, task_id, found, role, tally)
            elif isinstance(found, Rejection):
                tally.rejected.append(found)
            else:
                tally.warnings.append(found)
    finally:
        _note(database, task_id, role, tally)
    return UploadSummary(
        tally.accepted, tally.duplicates, len(tally.relabelled), tuple(tally.rejected), tuple(tally.warnings)
    )


def _keep(
    database: Database, blobs: BlobStore, task_id: str, found: LabelledScan, role: Role, tally: _Tally
) -> None:
    scan = found.scan
    # A new scan to be read has no known answer; a folder name it came with is not one.
    label = entries.clean_name(found.label) if role != "predict" else None
    group = entries.clean_name(scan.group) or f"file-{scan.id[:12]}"
    picture = thumbnail(scan)
    with database.write() as connection:
        row = connection.execute(
            "SELECT * FROM entry WHERE task_id = ? AND scan_id = ? AND deleted = 0", (task_id, scan.id)
        ).fetchone()
        if row is not None:
            _meet(connection, task_id, row, scan.file, label, group, scan.group_source, role, tally)
            return
        # Files inside the transaction: a task deleted at the same moment cannot purge them in between.
        blobs.put_pixels(scan.id, scan.pixels)
        blobs.put_thumbnail(scan.id, entries.thumbnail_variant(entries.meta_of(scan)), picture)
        entries.insert(connection, task_id, scan, label, group, role)
    tally.accepted += 1


def _meet(
    connection: sqlite3.Connection,
    task_id: str,
    row: sqlite3.Row,
    file: str,
    label: str | None,
    group: str,
    group_source: str,
    role: Role,
    tally: _Tally,
) -> None:
    """Decide about a file whose pixels the task holds already."""
    held = row["role"]
    there = f"the same image is already {_WHERE[held]} as {row['file']}"
    if held == "predict" and role != "predict":
        edits.apply_edit(
            connection,
            task_id,
            "taken from the new scans into the task",
            [row["id"]],
            {"role": role, "label": label, "grp": group, "group_source": group_source},
        )
        tally.accepted += 1
    elif held != role:
        why = (
            "a scan the model has learned from or was tested on cannot be read as a new one"
            if role == "predict"
            else "an image must be on one side only; move it in the table if it is on the wrong one"
        )
        tally.rejected.append(Rejection(file, f"{there}; {why}"))
    elif label is not None and row["label"] is None:
        tally.relabelled[row["id"]] = label
    elif label is not None and label != row["label"]:
        tally.rejected.append(
            Rejection(
                file,
                f"{there} with the label {row['label']}, and this copy says {label}; the first one was kept, "
                "change its label in the table if this one is right",
            )
        )
    elif group != row["grp"] and row["group_source"] != "person" and group_source != "file":
        tally.rejected.append(
            Rejection(
                file,
                f"{there} under another patient; the first one was kept, change its patient in the table if "
                "this one is right",
            )
        )
    else:
        tally.duplicates += 1


def _note(database: Database, task_id: str, role: Role, tally: _Tally) -> None:
    rows = [(task_id, role, item.file or "unnamed file", item.reason) for item in tally.rejected]
    rows += [(task_id, role, "", text) for text in tally.warnings]
    if not rows and not tally.relabelled:
        return
    try:
        with database.write() as connection:
            for label in dict.fromkeys(tally.relabelled.values()):
                ids = [entry for entry, name in tally.relabelled.items() if name == label]
                what = f"label “{label}” taken over from an upload"
                edits.apply_edit(connection, task_id, what, ids, {"label": label})
            connection.executemany("INSERT INTO notice (task_id, role, file, text) VALUES (?, ?, ?, ?)", rows)
    except sqlite3.IntegrityError as error:
        raise MedMetaError("the task was deleted while files were being added to it") from error
