"""From uploaded files to entries of a task: what is new, what is there already, what contradicts it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from medmeta.errors import MedMetaError
from medmeta.progress import Progress
from medmeta.scans.display import thumbnail
from medmeta.scans.intake import iter_intake
from medmeta.scans.limits import MIB
from medmeta.scans.scan import LabelledScan, Rejection, Scan
from medmeta.workspace import audit, edits, entries
from medmeta.workspace.blobs import BlobStore
from medmeta.workspace.database import Database
from medmeta.workspace.records import Role, UploadSummary

#: A file's name and its bytes, or an open file positioned at its start.
Upload = tuple[str, bytes | BinaryIO]

#: A scan and its thumbnail.
_Drawn = tuple[LabelledScan, bytes]
#: A batch is kept when it has this many scans or bytes of pixels.
_BATCH_SCANS, _BATCH_BYTES = 64, 32 * MIB

_WHERE = {
    "support": "among the scans to learn from",
    "query": "among the test scans",
    "predict": "among the new scans",
}


class TaskIntake:
    """Takes uploads into one task under one role, a few scans at a time.

    What was taken in before a cancel or an error stays. Scans are kept in batches, each one a transaction written by
    a thread of its own while the next are decoded; batches begin with one scan, so that the first show at once.

    Args:
        key: the workspace's secret for pseudonyms.
    """

    def __init__(self, database: Database, blobs: BlobStore, *, key: bytes, task_id: str, role: Role) -> None:
        self._database = database
        self._blobs = blobs
        self._key = key
        self._task_id = task_id
        self._role: Role = role
        self._accepted = 0
        self._duplicates = 0
        self._relabelled: dict[int, str] = {}
        self._rejected: list[Rejection] = []
        self._contradicting: list[Rejection] = []
        self._warnings: list[str] = []

    def run(self, uploads: Iterable[Upload], progress: Progress) -> UploadSummary:
        """Read, de-identify and keep ``uploads``; refused files are kept as notices too.

        Raises:
            CancelledError: ``progress`` asked to stop.
        """
        with self._database.kept_open(), ThreadPoolExecutor(1, thread_name_prefix="medmeta-keep") as writer:
            batches = _Batches(writer, self._keep)
            try:
                for found in iter_intake(uploads, key=self._key, progress=progress):
                    if isinstance(found, LabelledScan):
                        batches.add((found, thumbnail(found.scan)))
                    elif isinstance(found, Rejection):
                        self._rejected.append(found)
                    elif self._role != "predict" or "labels.csv" not in found:
                        # New scans are neither labelled nor split, so advice about a labels.csv says nothing.
                        self._warnings.append(found)
            finally:
                try:
                    batches.finish()
                finally:
                    self._note()
        return UploadSummary(
            self._accepted,
            self._duplicates,
            len(self._relabelled),
            tuple(self._rejected),
            tuple(self._warnings),
        )

    def _keep(self, batch: Sequence[_Drawn]) -> None:
        """Keep a batch: all of it or, where the task has been deleted, nothing."""
        added = 0
        with self._database.write() as connection:
            for found, picture in batch:
                added += self._keep_one(connection, found, picture)
            self._blobs.settle()
        self._accepted += added

    def _keep_one(self, connection: sqlite3.Connection, found: LabelledScan, picture: bytes) -> bool:
        scan = found.scan
        # A new scan to be read has no known answer; a folder name it came with is not one.
        label = entries.clean_name(found.label) if self._role != "predict" else None
        group = entries.clean_name(scan.group) or f"file-{scan.id[:12]}"
        row = connection.execute(
            "SELECT * FROM entry WHERE task_id = ? AND scan_id = ? AND deleted = 0",
            (self._task_id, scan.id),
        ).fetchone()
        if row is not None:
            return self._meet(connection, row, scan, label, group)
        # Files inside the transaction: a task deleted at the same moment cannot purge them in between.
        self._blobs.put_pixels(scan.id, scan.pixels)
        meta = entries.meta_of(scan)
        self._blobs.put_thumbnail(scan.id, entries.thumbnail_variant(meta), picture)
        try:
            entries.insert(connection, self._task_id, scan, meta, label=label, group=group, role=self._role)
        except sqlite3.IntegrityError as error:
            self._blobs.remove_unless_held(connection, scan.id)
            raise MedMetaError("the task was deleted while files were being added to it") from error
        return True

    def _meet(
        self, connection: sqlite3.Connection, row: sqlite3.Row, scan: Scan, label: str | None, group: str
    ) -> bool:
        """Decide about a file whose pixels the task holds already; returns whether it counts as added."""
        held = row["role"]
        there = f"the same image is already {_WHERE[held]} as {row['file']}"
        if held == "predict" and self._role != "predict":
            edits.apply_edit(
                connection,
                self._task_id,
                "taken from the new scans into the task",
                [row["id"]],
                {"role": self._role, "label": label, "grp": group, "group_source": scan.group_source},
            )
            return True
        if held != self._role:
            why = (
                "a scan the model learns from or is tested on cannot be read as a new one"
                if self._role == "predict"
                else "an image must be on one side only; move it in the table if it is on the wrong one"
            )
            self._refuse(scan, f"{there}; {why}")
        elif label is not None and row["label"] is None:
            self._relabelled[row["id"]] = label
        elif label is not None and label != row["label"]:
            self._refuse(
                scan,
                f"{there} with the label {row['label']}, and this copy says {label}; the first one was kept, "
                "change its label in the table if this one is right",
            )
        elif group != row["grp"] and row["group_source"] != "person" and scan.group_source != "file":
            self._refuse(
                scan,
                f"{there} under another patient; the first one was kept, change its patient in the table if "
                "this one is right",
            )
        else:
            self._duplicates += 1
        return False

    def _audited(self) -> dict[str, object]:
        """Counts for the record; a reason that came from the task's own scans may name them, so it is not kept."""
        contradicting = set(map(id, self._contradicting))
        reasons = Counter(
            "contradicts a scan of the task" if id(item) in contradicting else item.reason
            for item in self._rejected
        )
        return {
            "role": self._role,
            "accepted": self._accepted,
            "duplicates": self._duplicates,
            "refused": dict(reasons),
        }

    def _refuse(self, scan: Scan, reason: str) -> None:
        rejection = Rejection(scan.file, reason)
        self._contradicting.append(rejection)
        self._rejected.append(rejection)

    def _note(self) -> None:
        """Write down what a person must still see after a refresh."""
        rows = [
            (self._task_id, self._role, item.file or "unnamed file", item.reason) for item in self._rejected
        ]
        rows += [(self._task_id, self._role, "", text) for text in self._warnings]
        with self._database.write() as connection:
            if connection.execute("SELECT 1 FROM task WHERE id = ?", (self._task_id,)).fetchone() is None:
                return
            for label in dict.fromkeys(self._relabelled.values()):
                ids = [entry for entry, name in self._relabelled.items() if name == label]
                what = f"label “{label}” taken over from an upload"
                edits.apply_edit(connection, self._task_id, what, ids, {"label": label})
            audit.record(connection, self._task_id, "upload", self._audited())
            connection.executemany("INSERT INTO notice (task_id, role, file, text) VALUES (?, ?, ?, ?)", rows)


class _Batches:
    """Gathers scans into growing batches and lets one thread keep them, one batch ahead at most."""

    def __init__(self, writer: ThreadPoolExecutor, keep: Callable[[Sequence[_Drawn]], None]) -> None:
        self._writer, self._keep = writer, keep
        self._batch: list[_Drawn] = []
        self._bytes = 0
        self._size = 1
        self._under_way: Future[None] | None = None

    def add(self, drawn: _Drawn) -> None:
        self._batch.append(drawn)
        self._bytes += drawn[0].scan.pixels.nbytes
        if self._bytes >= _BATCH_BYTES or len(self._batch) >= self._size:
            self._hand_over()
            self._size = min(2 * self._size, _BATCH_SCANS)

    def finish(self) -> None:
        """Keep what is left, and raise what went wrong."""
        if self._batch:
            self._hand_over()
        self._wait()

    def _hand_over(self) -> None:
        self._wait()
        batch, self._batch, self._bytes = self._batch, [], 0
        self._under_way = self._writer.submit(self._keep, batch)

    def _wait(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()
