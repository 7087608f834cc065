"""The SQLite file: its schema, and connections that are safe across threads, tabs and processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medmeta.workspace.records import WorkspaceError

#: Raised by one whenever the tables change; a file of a version that is not in `UPGRADES` is refused, never guessed at.
SCHEMA_VERSION = 2

SCHEMA = """
CREATE TABLE task (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    synthetic INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    used REAL NOT NULL
);
CREATE TABLE description (
    task_id TEXT NOT NULL REFERENCES task(id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (task_id, label)
);
CREATE TABLE entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL REFERENCES task(id) ON DELETE CASCADE,
    scan_id TEXT NOT NULL,
    file TEXT NOT NULL,
    label TEXT,
    grp TEXT NOT NULL,
    group_source TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('support', 'query', 'predict')),
    deleted INTEGER NOT NULL DEFAULT 0,
    series TEXT NOT NULL DEFAULT '',
    marked INTEGER NOT NULL DEFAULT 0,
    meta TEXT NOT NULL
);
CREATE UNIQUE INDEX entry_once ON entry(task_id, scan_id) WHERE deleted = 0;
CREATE INDEX entry_by_scan ON entry(scan_id);
CREATE TABLE edit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL REFERENCES task(id) ON DELETE CASCADE,
    summary TEXT NOT NULL,
    changes TEXT NOT NULL,
    undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX edit_by_task ON edit(task_id, id);
CREATE TABLE notice (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL REFERENCES task(id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    file TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE job (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    task_id TEXT NOT NULL REFERENCES task(id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    fraction REAL NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    error TEXT,
    signature TEXT NOT NULL DEFAULT '',
    params TEXT NOT NULL DEFAULT '{}',
    owner TEXT NOT NULL,
    beat REAL NOT NULL,
    cancel INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX job_by_task ON job(task_id, created);
"""

#: Tables that came later and that nothing of an earlier version reads: made where they are missing.
LATER = """
CREATE TABLE IF NOT EXISTS pixel_text (
    task_id TEXT NOT NULL REFERENCES task(id) ON DELETE CASCADE,
    scan_id TEXT NOT NULL,
    boxes TEXT NOT NULL,
    by_tags INTEGER NOT NULL,
    decision TEXT,
    decided REAL,
    PRIMARY KEY (task_id, scan_id)
);
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL REFERENCES task(id) ON DELETE CASCADE,
    at REAL NOT NULL,
    act TEXT NOT NULL,
    detail TEXT NOT NULL
)
"""
#: What brings the tables of an earlier version to the next one.
UPGRADES = {
    1: "ALTER TABLE entry ADD COLUMN series TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE entry ADD COLUMN marked INTEGER NOT NULL DEFAULT 0"
}


class Database:
    """Opens a connection for each operation, so that no connection crosses threads.

    Args:
        path: the SQLite file; made with its tables when absent.

    Raises:
        WorkspaceError: the file was written by another version of the workbench.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    for statement in filter(str.strip, SCHEMA.split(";")):
                        connection.execute(statement)
                    version = SCHEMA_VERSION
                while version in UPGRADES:
                    for statement in UPGRADES[version].split(";"):
                        connection.execute(statement)
                    version += 1
                if version == SCHEMA_VERSION:
                    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        if version != SCHEMA_VERSION:
            raise WorkspaceError(
                f"the workspace was written by another version (found layout {version}, expected "
                f"{SCHEMA_VERSION}); set MEDMETA_WORKSPACE to another folder, or use that version"
            )
        with self.write() as connection:
            for statement in LATER.split(";"):
                connection.execute(statement)
        # The names of uploaded files may identify a patient: nobody else on this machine reads them.
        path.chmod(0o600)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        # isolation_level=None: transactions are the explicit BEGIN IMMEDIATE below and nothing else.
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            # Deleted names and labels are overwritten, not merely unlinked.
            connection.execute("PRAGMA secure_delete = ON")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Hold a connection open meanwhile: the last one to close copies the whole log into the file and waits."""
        with self._connection() as connection:
            connection.execute("SELECT 1 FROM task LIMIT 1").fetchone()
            yield

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements all see one state of the file."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that takes the write lock first, so that read-then-write is not raced."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
