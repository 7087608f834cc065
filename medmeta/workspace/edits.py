"""Changes to the scans of a task, each one a step that can be undone and done again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

from medmeta.workspace.records import EditStep

#: Steps kept for undo; scans removed in an older step are gone for good.
KEPT_STEPS = 50

#: Columns of ``entry`` a step may change. Column names cannot be bound, so they come from here only.
_COLUMNS = frozenset(("label", "grp", "group_source", "role", "deleted", "marked"))

Value = str | int | None


def apply_edit(
    connection: sqlite3.Connection,
    task_id: str,
    summary: str,
    entry_ids: Iterable[int],
    values: Mapping[str, Value],
) -> int:
    """Set ``values`` on the entries as one step; entries that have them already are left out.

    Returns:
        the number of entries changed; with 0 no step is recorded.
    """
    columns = sorted(values)
    if not set(columns) <= _COLUMNS:
        raise ValueError(f"only {sorted(_COLUMNS)} can be edited, found {columns}")
    changes: list[tuple[int, dict[str, Value], dict[str, Value]]] = []
    for entry_id in dict.fromkeys(entry_ids):
        row = connection.execute(
            "SELECT * FROM entry WHERE id = ? AND task_id = ? AND deleted = 0", (entry_id, task_id)
        ).fetchone()
        if row is None:
            continue
        before = {name: row[name] for name in columns}
        after = {name: values[name] for name in columns}
        if before != after:
            changes.append((entry_id, before, after))
    if not changes:
        return 0
    for entry_id, _, after in changes:
        _set(connection, entry_id, after)
    scans = f"{len(changes)} scan{'' if len(changes) == 1 else 's'}"
    _record(connection, task_id, f"{scans}: {summary}", changes)
    return len(changes)


def replace_scans(
    connection: sqlite3.Connection, task_id: str, summary: str, pairs: Iterable[tuple[int, str]]
) -> None:
    """Put other pixels in the place of entries as one step: (entry, content hash of the new pixels).

    The new entry has everything else of the old one; undo brings the old one back.
    """
    changes: list[tuple[int, dict[str, Value], dict[str, Value]]] = []
    for entry_id, scan_id in pairs:
        row = connection.execute(
            "SELECT * FROM entry WHERE id = ? AND task_id = ? AND deleted = 0", (entry_id, task_id)
        ).fetchone()
        if row is None:
            continue
        columns = {**dict(row), "scan_id": scan_id}
        del columns["id"]
        connection.execute("UPDATE entry SET deleted = 1 WHERE id = ?", (entry_id,))
        new = connection.execute(
            f"INSERT INTO entry ({', '.join(columns)}) "  # noqa: S608 - the table's own columns
            f"VALUES ({', '.join('?' * len(columns))}) RETURNING id",
            tuple(columns.values()),
        ).fetchone()["id"]
        changes.append((new, {"deleted": 1}, {"deleted": 0}))
        changes.append((entry_id, {"deleted": 0}, {"deleted": 1}))
    if changes:
        _record(
            connection,
            task_id,
            f"{len(changes) // 2} scan{'' if len(changes) == 2 else 's'}: {summary}",
            changes,
        )


def undo(connection: sqlite3.Connection, task_id: str) -> str | None:
    """Take back the last step; returns what it was, None when there is none."""
    row = connection.execute(
        "SELECT * FROM edit WHERE task_id = ? AND undone = 0 ORDER BY id DESC LIMIT 1", (task_id,)
    ).fetchone()
    if row is None:
        return None
    for entry_id, before, _ in json.loads(row["changes"]):
        _set(connection, entry_id, before)
    connection.execute("UPDATE edit SET undone = 1 WHERE id = ?", (row["id"],))
    return str(row["summary"])


def last_changed(connection: sqlite3.Connection, task_id: str) -> set[int]:
    """Ids of the entries that undo would change."""
    row = connection.execute(
        "SELECT changes FROM edit WHERE task_id = ? AND undone = 0 ORDER BY id DESC LIMIT 1", (task_id,)
    ).fetchone()
    return set() if row is None else {entry_id for entry_id, _, _ in json.loads(row["changes"])}


def redo(connection: sqlite3.Connection, task_id: str) -> str | None:
    """Do the last undone step again; returns what it was, None when there is none."""
    row = connection.execute(
        "SELECT * FROM edit WHERE task_id = ? AND undone = 1 ORDER BY id LIMIT 1", (task_id,)
    ).fetchone()
    if row is None:
        return None
    for entry_id, _, after in json.loads(row["changes"]):
        _set(connection, entry_id, after)
    connection.execute("UPDATE edit SET undone = 0 WHERE id = ?", (row["id"],))
    return str(row["summary"])


def step(connection: sqlite3.Connection, task_id: str) -> EditStep:
    """What undo and redo would change, for the buttons."""
    back = connection.execute(
        "SELECT summary FROM edit WHERE task_id = ? AND undone = 0 ORDER BY id DESC LIMIT 1", (task_id,)
    ).fetchone()
    forth = connection.execute(
        "SELECT summary FROM edit WHERE task_id = ? AND undone = 1 ORDER BY id LIMIT 1", (task_id,)
    ).fetchone()
    return EditStep(back["summary"] if back else None, forth["summary"] if forth else None)


def forget_removed(connection: sqlite3.Connection, task_id: str, *, keep_undoable: bool) -> list[str]:
    """Drop removed entries that no step can bring back (or all of them); returns their scan ids."""
    held: set[int] = set()
    if keep_undoable:
        rows = connection.execute("SELECT changes FROM edit WHERE task_id = ?", (task_id,))
        for row in rows:
            held.update(entry_id for entry_id, _, _ in json.loads(row["changes"]))
    gone = connection.execute(
        "SELECT id, scan_id FROM entry WHERE task_id = ? AND deleted = 1", (task_id,)
    ).fetchall()
    dropped = [row for row in gone if row["id"] not in held]
    connection.executemany("DELETE FROM entry WHERE id = ?", [(row["id"],) for row in dropped])
    _drop_from_steps(connection, task_id, {row["id"] for row in dropped})
    return [str(row["scan_id"]) for row in dropped]


def _drop_from_steps(connection: sqlite3.Connection, task_id: str, dropped: Collection[int]) -> None:
    """Take entries that are gone for good out of the steps; one that changed nothing else goes with them."""
    for row in connection.execute("SELECT id, changes FROM edit WHERE task_id = ?", (task_id,)).fetchall():
        changes = json.loads(row["changes"])
        left = [change for change in changes if change[0] not in dropped]
        if not left:
            connection.execute("DELETE FROM edit WHERE id = ?", (row["id"],))
        elif len(left) < len(changes):
            connection.execute("UPDATE edit SET changes = ? WHERE id = ?", (json.dumps(left), row["id"]))


def _record(connection: sqlite3.Connection, task_id: str, summary: str, changes: Sequence[object]) -> None:
    """Add a step; what had been undone cannot be done again after it."""
    connection.execute("DELETE FROM edit WHERE task_id = ? AND undone = 1", (task_id,))
    connection.execute(
        "INSERT INTO edit (task_id, summary, changes) VALUES (?, ?, ?)",
        (task_id, summary, json.dumps(changes)),
    )
    connection.execute(
        "DELETE FROM edit WHERE task_id = ? AND id NOT IN "
        "(SELECT id FROM edit WHERE task_id = ? ORDER BY id DESC LIMIT ?)",
        (task_id, task_id, KEPT_STEPS),
    )


def _set(connection: sqlite3.Connection, entry_id: int, values: Mapping[str, Value]) -> None:
    names = sorted(values)
    if not set(names) <= _COLUMNS:
        raise ValueError(f"only {sorted(_COLUMNS)} can be edited, found {names}")
    assignments = ", ".join(f"{name} = ?" for name in names)
    connection.execute(
        f"UPDATE entry SET {assignments} WHERE id = ?",  # noqa: S608 - names come from _COLUMNS
        (*(values[name] for name in names), entry_id),
    )
