"""The checks of a task's scans, from what the workspace keeps: rows and thumbnails, never the pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from medmeta.errors import MedMetaError
from medmeta.scans.checks import Finding, Looked, check_scans
from medmeta.scans.likeness import Views, shows_colour, view_of
from medmeta.workspace.blobs import BlobStore
from medmeta.workspace.entries import thumbnail_variant
from medmeta.workspace.records import Entry, WorkspaceError
from medmeta.workspace.store import Store


def check_task(store: Store, entries: Sequence[Entry]) -> tuple[Finding, ...]:
    """What there is to know about the scans to learn from and the test scans; keys are entry ids."""
    looked = []
    with store.database.read() as connection:
        metas = dict(connection.execute("SELECT id, meta FROM entry WHERE deleted = 0").fetchall())
    for entry in entries:
        if entry.role == "predict" or entry.id not in metas:
            continue
        variant = thumbnail_variant(json.loads(metas[entry.id]))
        try:
            view, colour = _seen(store.blobs, entry.scan_id, variant, entry.rows, entry.columns)
        except MedMetaError:  # gone or damaged: whoever opens the scan says so
            continue
        part = entry.tags.get("BodyPartExamined")
        looked.append(
            Looked(
                key=entry.id,
                id=entry.scan_id,
                file=entry.file,
                label=entry.label,
                group=entry.group,
                side=entry.role,
                modality=entry.modality,
                body_part=None if part is None else str(part),
                colour=colour,
                rows=entry.rows,
                columns=entry.columns,
                view=view,
            )
        )
    return check_scans(looked)


@lru_cache(maxsize=4096)
def _seen(blobs: BlobStore, scan_id: str, variant: str, rows: int, columns: int) -> tuple[Views, bool]:
    """View and colour of a stored thumbnail, which its names decide for good."""
    picture = blobs.thumbnail(scan_id, variant)
    if picture is None:
        raise WorkspaceError("a thumbnail is missing")
    view = view_of(picture, rows, columns)
    view.setflags(write=False)
    return view, shows_colour(picture)
