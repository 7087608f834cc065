"""The gate for text burned into pixels: what was found, what a person decided, and what may be used."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from medmeta.errors import MedMetaError
from medmeta.progress import Progress, silent
from medmeta.scans.dicom import SAYS_BURNED_IN, USUALLY_BURNED_IN
from medmeta.scans.display import thumbnail
from medmeta.scans.pixel_text import Box, TextFinder, blanked
from medmeta.scans.pool import cores
from medmeta.workspace import audit, edits, entries
from medmeta.workspace.records import Entry, WorkspaceError

if TYPE_CHECKING:
    from medmeta.workspace.store import Store

Decision = Literal["kept", "blanked"]
_Boxes = tuple[Box, ...]
_BY_TAGS = frozenset((SAYS_BURNED_IN, USUALLY_BURNED_IN))
#: Scans whose answer is written at once, and threads that look at most.
_BATCH, _THREADS = 16, 4
_TURN = threading.Lock()


@dataclass(frozen=True)
class PixelText:
    """What is known of text on one scan.

    Attributes:
        boxes: where the detector found text, in pixels of the scan.
        by_tags: the file itself says there is text, or is of a kind that often bears some.
        decision: ``"kept"``: a person saw it and kept it; ``"blanked"``: these pixels are what was left after
            blanking; None: nobody has decided.
    """

    boxes: tuple[Box, ...]
    by_tags: bool
    decision: Decision | None

    @property
    def waiting(self) -> bool:
        """A person must look before the scan is used."""
        return self.decision is None and (self.by_tags or bool(self.boxes))


def search(store: Store, task_id: str, finder: TextFinder, progress: Progress = silent) -> int:
    """Look for text on every scan of the task that has not been looked at, those that come meanwhile too.

    One core is left for the pages, on which a person works on meanwhile.

    Returns:
        how many were looked at.

    Raises:
        CancelledError: ``progress`` asked to stop; what was looked at stays known.
    """
    tried: set[str] = set()
    # One search at a time: an adaptation that wants to begin waits for the one under way instead of repeating it.
    while not _TURN.acquire(timeout=0.2):
        progress(0.0, "Looking for burned-in text")
    try:
        while left := unseen(store, task_id, tried):
            tried.update(entry.scan_id for entry in left)
            _search(store, left, finder, progress)
    finally:
        _TURN.release()
    return len(tried)


def unseen(store: Store, task_id: str, but: Collection[str] = ()) -> list[Entry]:
    """The scans that nobody has looked for text on, without those of the content hashes ``but``."""
    known = found(store, task_id)
    return [
        entry for entry in store.entries(task_id) if entry.scan_id not in known and entry.scan_id not in but
    ]


def _search(store: Store, left: Sequence[Entry], finder: TextFinder, progress: Progress) -> None:
    def look(entry: Entry) -> _Boxes | None:
        try:
            return finder.find(store.scan(entry))
        except MedMetaError:  # pixels gone or damaged: whoever uses the scan says so
            return None

    rows: list[tuple[str, str, str, int]] = []
    threads = ThreadPoolExecutor(max(1, min(_THREADS, cores() - 1)), thread_name_prefix="medmeta-text")
    try:
        for position, (entry, boxes) in enumerate(_a_few_ahead(threads, look, left)):
            progress(position / len(left), f"Looking for burned-in text, scan {position + 1} of {len(left)}")
            if boxes is None:
                continue
            rows.append(
                (entry.task_id, entry.scan_id, _packed(boxes), int(bool(_BY_TAGS & set(entry.warnings))))
            )
            if len(rows) >= _BATCH:
                _remember(store, rows)
                rows = []
    finally:
        threads.shutdown(cancel_futures=True)
        _remember(store, rows)


def _a_few_ahead(
    threads: ThreadPoolExecutor, look: Callable[[Entry], _Boxes | None], left: Iterable[Entry]
) -> Iterator[tuple[Entry, _Boxes | None]]:
    """Entries with their answers, in order; no more is begun than soon done, since a program that ends waits for it."""
    begun: deque[tuple[Entry, Future[_Boxes | None]]] = deque()
    for entry in left:
        begun.append((entry, threads.submit(look, entry)))
        if len(begun) > 2 * _THREADS:
            first, answer = begun.popleft()
            yield first, answer.result()
    for first, answer in begun:
        yield first, answer.result()


def found(store: Store, task_id: str) -> dict[str, PixelText]:
    """What is known of each scan that has been looked at, by its content hash."""
    with store.database.read() as connection:
        rows = connection.execute("SELECT * FROM pixel_text WHERE task_id = ?", (task_id,)).fetchall()
    return {row["scan_id"]: _of_row(row) for row in rows}


def flagged(store: Store, task_id: str) -> dict[str, PixelText]:
    """As `found`, of the scans alone that a person was or is asked about."""
    with store.database.read() as connection:
        rows = connection.execute(
            "SELECT * FROM pixel_text WHERE task_id = ? AND (decision IS NOT NULL OR by_tags OR boxes != '[]')",
            (task_id,),
        ).fetchall()
    return {row["scan_id"]: _of_row(row) for row in rows}


def held(connection: sqlite3.Connection, task_id: str) -> frozenset[str]:
    """Content hashes of the scans that must not be used before a person has looked."""
    rows = connection.execute(
        "SELECT scan_id FROM pixel_text WHERE task_id = ? AND decision IS NULL AND (by_tags OR boxes != '[]')",
        (task_id,),
    )
    return frozenset(row["scan_id"] for row in rows)


def waiting(store: Store, task_id: str) -> int:
    """How many scans a person must look at."""
    with store.database.read() as connection:
        return len(held(connection, task_id))


def keep(store: Store, task_id: str, chosen: Sequence[Entry]) -> int:
    """A person has looked: nothing on these scans names anybody. Taken back by `ask_again`."""
    return _decide(store, task_id, chosen, "kept", "text-kept")


def ask_again(store: Store, task_id: str, chosen: Sequence[Entry]) -> int:
    """Take a decision to keep back: the scans wait for a person again."""
    return _decide(store, task_id, chosen, None, "text-asked-again")


def remove(store: Store, task_id: str, chosen: Sequence[Entry]) -> int:
    """Take flagged scans out of the task; undone as any removal."""
    count = store.remove(task_id, [entry.id for entry in chosen])
    with store.database.write() as connection:
        audit.record(connection, task_id, "text-removed", _listed(chosen))
    return count


def blank(store: Store, task_id: str, chosen: Sequence[Entry]) -> int:
    """Put in place of each scan a copy whose found text is overwritten; one step that undo takes back.

    The first pixels stay on the disk for that undo until removed scans are deleted for good.

    Raises:
        WorkspaceError: a scan has no place to blank, or the blanked picture is in the task already.
    """
    known = found(store, task_id)
    new = []
    for entry in chosen:
        text = known.get(entry.scan_id)
        if text is None or not text.boxes:
            raise WorkspaceError(
                f"{entry.file}: no text was found that could be blanked; keep it or remove it"
            )
        new.append(blanked(store.scan(entry), text.boxes))
    with store.database.write() as connection:
        pairs = []
        for entry, scan in zip(chosen, new, strict=True):
            store.blobs.put_pixels(scan.id, scan.pixels)
            variant = entries.thumbnail_variant(entries.meta_of(scan))
            store.blobs.put_thumbnail(scan.id, variant, thumbnail(scan))
            pairs.append((entry.id, scan.id))
            connection.execute(
                "INSERT OR REPLACE INTO pixel_text (task_id, scan_id, boxes, by_tags, decision, decided) "
                "VALUES (?, ?, '[]', 0, 'blanked', ?)",
                (task_id, scan.id, time.time()),
            )
        store.blobs.settle()
        try:
            edits.replace_scans(connection, task_id, "burned-in text blanked", pairs)
        except sqlite3.IntegrityError as error:
            raise WorkspaceError(
                "the blanked picture is in the task already; remove one of the two scans first"
            ) from error
        audit.record(connection, task_id, "text-blanked", _listed(chosen))
    return len(chosen)


def _decide(store: Store, task_id: str, chosen: Sequence[Entry], decision: Decision | None, act: str) -> int:
    with store.database.write() as connection:
        for entry in chosen:
            connection.execute(
                "UPDATE pixel_text SET decision = ?, decided = ? WHERE task_id = ? AND scan_id = ?",
                (decision, time.time(), task_id, entry.scan_id),
            )
        audit.record(connection, task_id, act, _listed(chosen))
    return len(chosen)


def _listed(chosen: Iterable[Entry]) -> dict[str, object]:
    ids = [entry.scan_id for entry in chosen]
    return {"scans": len(ids), "sha256": ids}


def _remember(store: Store, rows: Sequence[tuple[str, str, str, int]]) -> None:
    if not rows:
        return
    with store.database.write() as connection:
        if connection.execute("SELECT 1 FROM task WHERE id = ?", (rows[0][0],)).fetchone() is None:
            return
        connection.executemany(
            "INSERT OR IGNORE INTO pixel_text (task_id, scan_id, boxes, by_tags) VALUES (?, ?, ?, ?)", rows
        )


def _packed(boxes: Sequence[Box]) -> str:
    return json.dumps([[box.left, box.top, box.right, box.bottom] for box in boxes])


def _of_row(row: sqlite3.Row) -> PixelText:
    boxes = tuple(Box(*(int(edge) for edge in box)) for box in json.loads(row["boxes"]))
    return PixelText(boxes, bool(row["by_tags"]), row["decision"])
