"""The checks of a task's scans, from rows, thumbnails and how they look to the model; never from the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from medmeta.errors import MedMetaError
from medmeta.scans.checks import Finding, Looked, check_scans, in_order
from medmeta.scans.likeness import Pairs, Views, copies, shows_colour, view_of
from medmeta.scans.strangers import check_strangers
from medmeta.workspace.blobs import BlobStore
from medmeta.workspace.entries import read_meta, thumbnail_variant
from medmeta.workspace.looks import Looks
from medmeta.workspace.records import Entry, WorkspaceError
from medmeta.workspace.store import Store

#: Content hash, name of the thumbnail, rows and columns.
_Picture = tuple[str, str, int, int]


def check_task(store: Store, entries: Sequence[Entry], looks: Looks | None = None) -> tuple[Finding, ...]:
    """What there is to know about the scans to learn from and the test scans; keys are entry ids.

    Args:
        entries: of one task.
        looks: where None, or of scans that it does not know, nothing is said that takes the model.
    """
    looked: list[Looked] = []
    pictures: list[_Picture] = []
    task_id = entries[0].task_id if entries else ""
    with store.database.read() as connection:
        rows = connection.execute("SELECT id, meta FROM entry WHERE task_id = ? AND deleted = 0", (task_id,))
        metas = {row["id"]: row["meta"] for row in rows}
    for entry in entries:
        if entry.role == "predict" or entry.id not in metas:
            continue
        variant = thumbnail_variant(read_meta(metas[entry.id]))
        picture = (entry.scan_id, variant, entry.rows, entry.columns)
        try:
            view, colour = _seen(store.blobs, picture)
        except MedMetaError:  # gone or damaged: whoever opens the scan says so
            continue
        pictures.append(picture)
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
    found = check_scans(looked, _alike(store.blobs, tuple(pictures)))
    return found if looks is None else in_order([*found, *check_strangers(looked, looks(), looks.kinds)])


@lru_cache(maxsize=8)
def _alike(blobs: BlobStore, pictures: tuple[_Picture, ...]) -> Pairs:
    """Which of these pictures look alike: for 1,000 of them most of the work, and no label changes it."""
    return tuple(copies([_seen(blobs, picture)[0] for picture in pictures]))


@lru_cache(maxsize=4096)
def _seen(blobs: BlobStore, picture: _Picture) -> tuple[Views, bool]:
    """View and colour of a stored thumbnail, which its names decide for good."""
    scan_id, variant, rows, columns = picture
    png = blobs.thumbnail(scan_id, variant)
    if png is None:
        raise WorkspaceError("a thumbnail is missing")
    view = view_of(png, rows, columns)
    view.setflags(write=False)
    return view, shows_colour(png)
