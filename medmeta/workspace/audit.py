"""What was decided about the scans of a task, by whom it concerns and when: added to, never changed."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AuditEntry:
    """One act.

    Attributes:
        at: seconds since the epoch.
        act: short name, such as ``"text-kept"``.
        detail: counts and content hashes; no file name, label or patient.
    """

    at: float
    act: str
    detail: Mapping[str, Any]


def record(connection: sqlite3.Connection, task_id: str, act: str, detail: Mapping[str, Any]) -> None:
    """Write an act down, inside the transaction that does it. It goes when the task is deleted."""
    connection.execute(
        "INSERT INTO audit (task_id, at, act, detail) VALUES (?, ?, ?, ?)",
        (task_id, time.time(), act, json.dumps(dict(detail))),
    )


def entries(connection: sqlite3.Connection, task_id: str) -> list[AuditEntry]:
    """All acts of a task in order."""
    rows = connection.execute("SELECT * FROM audit WHERE task_id = ? ORDER BY id", (task_id,))
    return [AuditEntry(row["at"], row["act"], json.loads(row["detail"])) for row in rows]
