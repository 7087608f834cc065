"""The de-identification report of a task, counted from what the workspace holds."""

from __future__ import annotations

from collections import Counter

from medmeta.reports.deidentification import (
    DeidentificationReport,
    TextDecisions,
    now,
    patients_by_source,
    stamp,
    versions,
)
from medmeta.workspace import audit, pixel_text
from medmeta.workspace.records import WorkspaceError
from medmeta.workspace.store import Store

_ACTS = {
    "upload": "files taken in",
    "text-kept": "flagged scans looked at and kept",
    "text-blanked": "burned-in text blanked",
    "text-removed": "flagged scans removed",
    "text-asked-again": "decision to keep taken back",
}


def report_of_task(store: Store, task_id: str) -> DeidentificationReport:
    """Everything the task holds now, its new scans included, and what was done about it.

    Raises:
        WorkspaceError: the task is gone.
    """
    task = store.find_task(task_id)
    if task is None:
        raise WorkspaceError("the task has been deleted; open another task")
    entries = store.entries(task_id)
    texts = pixel_text.found(store, task_id)
    with store.database.read() as connection:
        acts = audit.entries(connection, task_id)
    known = [texts[entry.scan_id] for entry in entries if entry.scan_id in texts]
    refused: Counter[str] = Counter()
    for act in acts:
        if act.act == "upload":
            refused.update(act.detail["refused"])
    return DeidentificationReport(
        subject=task.name,
        made=now(),
        scans=len(entries),
        dicom=sum(entry.transfer_syntax is not None for entry in entries),
        kept=dict(Counter(keyword for entry in entries for keyword in entry.tags)),
        patients=patients_by_source([(entry.group_source, entry.group) for entry in entries]),
        refused=dict(refused),
        text=TextDecisions(
            looked=len(known),
            found=sum(bool(text.boxes) or text.decision == "blanked" for text in known),
            by_tags=sum(text.by_tags for text in known),
            kept=sum(text.decision == "kept" for text in known),
            blanked=sum(text.decision == "blanked" for text in known),
            removed=sum(int(act.detail["scans"]) for act in acts if act.act == "text-removed"),
            waiting=sum(text.waiting for text in known),
        ),
        acts=tuple(
            (
                stamp(act.at),
                _ACTS.get(act.act, act.act),
                int(act.detail["accepted"] if act.act == "upload" else act.detail["scans"]),
            )
            for act in acts
        ),
        versions=versions(),
    )
