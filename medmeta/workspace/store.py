"""`Store`: tasks, their scans, labels and notices, durable on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medmeta.errors import TaskError
from medmeta.progress import Progress, silent
from medmeta.scans.deidentify import load_or_create_key
from medmeta.scans.display import thumbnail
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.task import make_task
from medmeta.workspace import edits, entries, pixel_text
from medmeta.workspace.blobs import BlobStore
from medmeta.workspace.database import Database
from medmeta.workspace.records import (
    ROLES,
    EditStep,
    Entry,
    Notice,
    Role,
    TaskInfo,
    TaskSets,
    UploadSummary,
    WorkspaceError,
)
from medmeta.workspace.uploads import TaskIntake, Upload
from medmeta.workspace.volumes import used

#: Seconds after which pixels that no row names are no longer those of an upload under way.
_STRAY_AFTER = 86_400.0


def default_root() -> Path:
    """``$MEDMETA_WORKSPACE``, else ``.medmeta`` in the home folder."""
    given = os.environ.get("MEDMETA_WORKSPACE", "").strip()
    return Path(given).expanduser() if given else Path.home() / ".medmeta"


class Store:
    """The workspace folder. Safe to share between threads and to open from several processes.

    Args:
        root: folder readable by its owner only; made when absent.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        self.root = root
        self.runs = root / "runs"
        self.runs.mkdir(mode=0o700, exist_ok=True)
        self.database = Database(root / "workspace.sqlite")
        self.blobs = BlobStore(root / "scans")
        self._key = load_or_create_key(root / "pseudonyms.key")
        self._sweep()

    # Tasks

    def create_task(
        self, name: str = "", descriptions: Mapping[str, str] | None = None, *, synthetic: bool = False
    ) -> str:
        """Make a task and return its id."""
        task_id, now = secrets.token_hex(6), time.time()
        with self.database.write() as connection:
            connection.execute(
                "INSERT INTO task (id, name, synthetic, created, used) VALUES (?, ?, ?, ?, ?)",
                (task_id, entries.clean_name(name) or "Untitled task", int(synthetic), now, now),
            )
        for label, text in (descriptions or {}).items():
            self.describe(task_id, label, text)
        return task_id

    def tasks(self) -> list[TaskInfo]:
        """All tasks, the last used first."""
        with self.database.read() as connection:
            rows = connection.execute(
                f"{entries.TASK_ROWS} GROUP BY task.id ORDER BY task.used DESC"
            ).fetchall()
        return [entries.task_of(row) for row in rows]

    def find_task(self, task_id: str) -> TaskInfo | None:
        with self.database.read() as connection:
            row = connection.execute(
                f"{entries.TASK_ROWS} WHERE task.id = ? GROUP BY task.id", (task_id,)
            ).fetchone()
        return None if row is None else entries.task_of(row)

    def touch(self, task_id: str) -> None:
        """Remember that the task was used now."""
        with self.database.write() as connection:
            connection.execute("UPDATE task SET used = ? WHERE id = ?", (time.time(), task_id))

    def rename_task(self, task_id: str, name: str) -> None:
        with self.database.write() as connection:
            connection.execute(
                "UPDATE task SET name = ? WHERE id = ?",
                (entries.clean_name(name) or "Untitled task", task_id),
            )

    def describe(self, task_id: str, label: str, text: str) -> None:
        """Set the description of a class; an empty text removes it."""
        plain = entries.clean_name(text, 2000)
        with self.database.write() as connection:
            if plain is None:
                connection.execute(
                    "DELETE FROM description WHERE task_id = ? AND label = ?", (task_id, label)
                )
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO description (task_id, label, text) VALUES (?, ?, ?)",
                    (task_id, label, plain),
                )

    def descriptions(self, task_id: str) -> dict[str, str]:
        with self.database.read() as connection:
            rows = connection.execute("SELECT label, text FROM description WHERE task_id = ?", (task_id,))
            return {row["label"]: row["text"] for row in rows}

    def delete_task(self, task_id: str) -> None:
        """Delete the task, its runs, and every stored scan no other task holds. Cannot be undone."""
        with self.database.write() as connection:
            scans = [r["scan_id"] for r in self._rows(connection, task_id, removed_too=True)]
            jobs = [
                row["id"] for row in connection.execute("SELECT id FROM job WHERE task_id = ?", (task_id,))
            ]
            connection.execute("DELETE FROM task WHERE id = ?", (task_id,))
            self._purge(connection, scans)
        for job in jobs:
            shutil.rmtree(self.runs / job, ignore_errors=True)

    # Scans

    def add_uploads(
        self, task_id: str, uploads: Iterable[Upload], progress: Progress = silent, *, role: Role = "support"
    ) -> UploadSummary:
        """Take in uploaded files, folders (as names with slashes) and ZIPs.

        Raises:
            WorkspaceError: the task is gone.
            CancelledError: ``progress`` asked to stop; what was taken in so far stays.
        """
        if self.find_task(task_id) is None:
            raise WorkspaceError("the task these files were meant for has been deleted; open another task")
        intake = TaskIntake(self.database, self.blobs, key=self._key, task_id=task_id, role=role)
        return intake.run(uploads, progress)

    def entries(self, task_id: str, *roles: Role) -> list[Entry]:
        """The scans of a task in the order they came; of ``roles`` only, all when none is named."""
        with self.database.read() as connection:
            rows = self._rows(connection, task_id)
            held = pixel_text.held(connection, task_id)
        found = [entries.entry_of(row) for row in rows if row["role"] in (roles or ROLES)]
        return [replace(entry, held=True) if entry.scan_id in held else entry for entry in found]

    def scan(self, entry: Entry) -> Scan:
        """The scan of an entry, pixels memory-mapped.

        Raises:
            WorkspaceError: it was removed, or its pixels are gone or damaged.
        """
        with self.database.read() as connection:
            row = connection.execute("SELECT * FROM entry WHERE id = ?", (entry.id,)).fetchone()
        if row is None:
            raise WorkspaceError(f"{entry.file}: the scan has been removed from the task; reload the page")
        return entries.scan_of(row, self.blobs)

    def thumbnail(self, entry: Entry) -> bytes:
        """PNG bytes, drawn again when the stored file is gone."""
        with self.database.read() as connection:
            row = connection.execute("SELECT meta FROM entry WHERE id = ?", (entry.id,)).fetchone()
        variant = entries.thumbnail_variant(json.loads(row["meta"])) if row else ""
        stored = self.blobs.thumbnail(entry.scan_id, variant) if variant else None
        return stored if stored is not None else thumbnail(self.scan(entry))

    def signature(self, task_id: str) -> str:
        """Digest of the scans used, labels, patients, roles and marks: has anything changed since a run?"""
        with self.database.read() as connection:
            held = pixel_text.held(connection, task_id)
            rows = connection.execute(
                "SELECT scan_id, label, grp, role, marked FROM entry WHERE task_id = ? AND deleted = 0 "
                "AND label IS NOT NULL AND role != 'predict' ORDER BY scan_id",
                (task_id,),
            ).fetchall()
        # A task without marks keeps the digest it had before there were any.
        plain = [[*row[:4], *([1] if row["marked"] else [])] for row in rows if row["scan_id"] not in held]
        return hashlib.sha256(json.dumps(plain).encode()).hexdigest()

    def task(self, task_id: str) -> TaskSets:
        """The labelled scans as learners take them: of a volume, the slices that carry its label, and without those
        that wait for a look at burned-in text.

        Raises:
            TaskError: they do not make a task yet (one class only, ...).
            WorkspaceError: the task is gone, or stored pixels are gone or damaged.
        """
        info = self.find_task(task_id)
        if info is None:
            raise WorkspaceError("the task has been deleted; open another task")
        with self.database.read() as connection:
            rows = self._rows(connection, task_id)
            held = pixel_text.held(connection, task_id)
        sets: dict[str, list[LabelledScan]] = {"support": [], "query": []}
        unlabelled = 0
        chosen = {entry.id for entry in used([entries.entry_of(row) for row in rows])}
        for row in rows:
            if row["role"] == "predict" or row["scan_id"] in held or row["id"] not in chosen:
                continue
            if row["label"] is None:
                unlabelled += 1
                continue
            sets[row["role"]].append(LabelledScan(entries.scan_of(row, self.blobs), row["label"]))
        texts = self.descriptions(task_id)
        support = make_task(sets["support"], info.name, texts)
        if not sets["query"]:
            return TaskSets(support, None, unlabelled)
        try:
            query = make_task(sets["query"], info.name, texts)
        except TaskError as error:
            raise TaskError(f"the test scans cannot be used: {error}") from error
        return TaskSets(support, query, unlabelled)

    # Changes a person makes, each one a step to undo

    def set_label(self, task_id: str, entry_ids: Sequence[int], label: str | None) -> int:
        """Label scans (None takes labels away); returns how many changed."""
        name = entries.clean_name(label)
        what = f"label “{name}”" if name else "label removed"
        return self._edit(task_id, entry_ids, what, {"label": name})

    def set_group(self, task_id: str, entry_ids: Sequence[int], group: str) -> int:
        """Say which patient scans belong to; returns how many changed.

        Raises:
            WorkspaceError: the name is empty.
        """
        name = entries.clean_name(group)
        if name is None:
            raise WorkspaceError("a patient needs a name or number, for example A-01; none was given")
        return self._edit(task_id, entry_ids, f"patient “{name}”", {"grp": name, "group_source": "person"})

    def set_role(self, task_id: str, entry_ids: Sequence[int], role: Role) -> int:
        """Move scans between those to learn from and the test scans; returns how many changed."""
        what = {"support": "moved to learning", "query": "moved to testing", "predict": "moved to new scans"}
        return self._edit(task_id, entry_ids, what[role], {"role": role})

    def set_marked(self, task_id: str, entry_ids: Sequence[int], marked: bool) -> int:
        """Say which slices of a volume carry its label, instead of the central one; returns how many changed."""
        what = "marked to carry the label" if marked else "mark removed"
        return self._edit(task_id, entry_ids, what, {"marked": int(marked)})

    def remove(self, task_id: str, entry_ids: Sequence[int]) -> int:
        """Take scans out of the task; they can come back by undo until `forget` is called."""
        return self._edit(task_id, entry_ids, "removed", {"deleted": 1})

    def undo(self, task_id: str) -> str | None:
        """Take back the last change; returns what it was, None when there is none."""
        with self.database.write() as connection:
            return edits.undo(connection, task_id)

    def last_changed(self, task_id: str) -> set[int]:
        """Ids of the entries that undo would change."""
        with self.database.read() as connection:
            return edits.last_changed(connection, task_id)

    def redo(self, task_id: str) -> str | None:
        with self.database.write() as connection:
            return edits.redo(connection, task_id)

    def edit_step(self, task_id: str) -> EditStep:
        with self.database.read() as connection:
            return edits.step(connection, task_id)

    def removed_count(self, task_id: str) -> int:
        """Scans taken out that undo could still bring back."""
        with self.database.read() as connection:
            row = connection.execute(
                "SELECT COUNT(*) FROM entry WHERE task_id = ? AND deleted = 1", (task_id,)
            ).fetchone()
        return int(row[0])

    def forget(self, task_id: str) -> int:
        """Delete removed scans from the disk for good; returns how many."""
        with self.database.write() as connection:
            dropped = edits.forget_removed(connection, task_id, keep_undoable=False)
            self._purge(connection, dropped)
        return len(dropped)

    def discard_new(self, task_id: str) -> int:
        """Delete the new scans (role ``predict``) and all that was said of them for good; returns how many scans."""
        with self.database.write() as connection:
            gone = connection.execute(
                "DELETE FROM entry WHERE task_id = ? AND role = 'predict' RETURNING scan_id", (task_id,)
            ).fetchall()
            scans = {str(row["scan_id"]) for row in gone}
            self._purge(connection, scans)
            jobs = [row["id"] for row in self._said_of(connection, task_id, scans)]
            connection.executemany("DELETE FROM job WHERE id = ?", [(job,) for job in jobs])
            connection.execute("DELETE FROM notice WHERE task_id = ? AND role = 'predict'", (task_id,))
        for job in jobs:
            shutil.rmtree(self.runs / job, ignore_errors=True)
        return len(gone)

    @staticmethod
    def _said_of(connection: sqlite3.Connection, task_id: str, scans: Collection[str]) -> list[sqlite3.Row]:
        """Jobs that read the new scans of a task, or explained an answer about one of ``scans``."""
        rows = connection.execute(
            "SELECT id, kind, params FROM job WHERE task_id = ? AND kind IN ('predict', 'explain')",
            (task_id,),
        )
        return [
            row for row in rows if row["kind"] == "predict" or json.loads(row["params"]).get("scan") in scans
        ]

    # Notices

    def notices(self, task_id: str, *roles: Role) -> list[Notice]:
        """Refused files and warnings of uploads, until dismissed."""
        with self.database.read() as connection:
            rows = connection.execute("SELECT * FROM notice WHERE task_id = ? ORDER BY id", (task_id,))
            return [
                Notice(row["id"], row["file"], row["text"]) for row in rows if row["role"] in (roles or ROLES)
            ]

    def dismiss(self, task_id: str, *roles: Role) -> None:
        with self.database.write() as connection:
            for role in roles or ROLES:
                connection.execute("DELETE FROM notice WHERE task_id = ? AND role = ?", (task_id, role))

    # Inner parts

    def _edit(self, task_id: str, ids: Sequence[int], what: str, values: Mapping[str, edits.Value]) -> int:
        with self.database.write() as connection:
            changed = edits.apply_edit(connection, task_id, what, ids, values)
            dropped = edits.forget_removed(connection, task_id, keep_undoable=True)
            self._purge(connection, dropped)
        return changed

    @staticmethod
    def _rows(
        connection: sqlite3.Connection, task_id: str, *, removed_too: bool = False
    ) -> list[sqlite3.Row]:
        return connection.execute(
            "SELECT * FROM entry WHERE task_id = ? AND deleted <= ? ORDER BY id", (task_id, int(removed_too))
        ).fetchall()

    def _sweep(self) -> None:
        """Delete the pixels that a full disk or a kill left behind between their writing and their row's."""
        with self.database.read() as connection:
            named = {row["scan_id"] for row in connection.execute("SELECT DISTINCT scan_id FROM entry")}
        stray = [scan_id for scan_id in self.blobs.older_than(_STRAY_AFTER) if scan_id not in named]
        if stray:
            with self.database.write() as connection:
                self._purge(connection, stray)

    def _purge(self, connection: sqlite3.Connection, scan_ids: Iterable[str]) -> None:
        """Delete the files of scans no entry of any task names, inside the caller's transaction."""
        for scan_id in set(scan_ids):
            self.blobs.remove_unless_held(connection, scan_id)
