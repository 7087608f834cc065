"""The scans a run was measured on, kept beside its figures so that the evaluation can be repeated.

``task.json`` names them in order, with label and all that reading depends on; ``scans/<scan id>.npy`` holds the
pixels. The id is the hash of the pixels, so a pixel that was changed is noticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmeta.errors import TaskError
from medmeta.progress import Progress, silent
from medmeta.scans.limits import Limits
from medmeta.scans.scan import Scan, content_hash
from medmeta.scans.wire import BrokenWireError, pack_scan, unpack_scan
from medmeta.tasks.task import Task
from medmeta.workspace.records import WorkspaceError

FORMAT = "medmeta task 1"
TASK_FILE, SCANS = "task.json", "scans"
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KeptTask:
    """What a run was measured on; ``altered`` names the files whose pixels no longer have their hash."""

    support: Task
    query: Task | None
    altered: tuple[str, ...]


def keep_scans(out: Path, support: Task, query: Task | None, progress: Progress = silent) -> None:
    """Write the scans of a run into its folder; pixels the workspace has on the same disk are linked, not copied."""
    (out / SCANS).mkdir(exist_ok=True)
    sides = {"support": support, "query": query}
    total = sum(len(task.scans) for task in sides.values() if task is not None)
    document: dict[str, Any] = {"format": FORMAT}
    done = 0
    for side, task in sides.items():
        rows = []
        for scan, label in zip(task.scans, task.labels, strict=True) if task is not None else ():
            header, _ = pack_scan(scan)
            header.pop("study")  # for the intake alone
            rows.append({**header, "file": scan.file, "label": label})
            _keep_pixels(scan.pixels, out / SCANS / f"{scan.id}.npy")
            done += 1
            progress(done / total, "Keeping the scans")
        document[side] = None if task is None else _task_json(task, rows)
    remove_others(out / SCANS, {scan.id for task in sides.values() if task for scan in task.scans}, ".npy")
    (out / TASK_FILE).write_text(json.dumps(document, indent=1), encoding="utf-8")


def remove_others(folder: Path, ids: Collection[str], suffix: str) -> None:
    """Delete what an earlier run kept in ``folder`` of scans that are not among ``ids``, and nothing else."""
    for path in folder.glob(f"*{suffix}"):
        if _ID.fullmatch(path.stem) and path.stem not in ids:
            path.unlink()


def kept_task(out: Path) -> KeptTask:
    """Read back what :func:`keep_scans` wrote, pixels memory-mapped.

    Raises:
        WorkspaceError: the run kept no scans, or a file is missing or is not what was written.
    """
    try:
        document = json.loads((out / TASK_FILE).read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise WorkspaceError(f"{TASK_FILE} is of another version of MedMeta; verify with that version")
        altered: list[str] = []
        support = _read_task(out, document["support"], altered)
        query = document["query"]
        return KeptTask(support, None if query is None else _read_task(out, query, altered), tuple(altered))
    except FileNotFoundError as error:
        raise WorkspaceError(
            f"{Path(str(error.filename)).name} is missing, so the evaluation cannot be repeated: the run is of an "
            "earlier version or not whole; run the adaptation again"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, BrokenWireError, TaskError) as error:
        raise WorkspaceError(
            f"{TASK_FILE} or a scan of the run is damaged ({type(error).__name__}); run the adaptation again"
        ) from error


def kept_bytes(out: Path) -> int | None:
    """Bytes of the pixels a run kept, or None where it kept no scans."""
    if not (out / TASK_FILE).is_file():
        return None
    return sum(path.stat().st_size for path in (out / SCANS).glob("*.npy"))


def _task_json(task: Task, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": task.name,
        "classes": list(task.classes),
        "descriptions": dict(task.descriptions),
        "scans": rows,
    }


def _read_task(out: Path, data: Mapping[str, Any], altered: list[str]) -> Task:
    scans = []
    for row in data["scans"]:
        name = str(row["id"])
        if not _ID.fullmatch(name):
            raise ValueError("a scan is named by 64 hexadecimal digits")
        scan = _read_scan(row, out / SCANS / f"{name}.npy")
        if content_hash(scan.pixels) != scan.id:
            altered.append(scan.file)
        scans.append(scan)
    return Task(
        str(data["name"]),
        tuple(map(str, data["classes"])),
        tuple(scans),
        tuple(str(row["label"]) for row in data["scans"]),
        {str(name): str(text) for name, text in data["descriptions"].items()},
    )


def _read_scan(row: Mapping[str, Any], path: Path) -> Scan:
    pixels: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    header = {**row, "dtype": little.dtype.str, "shape": list(little.shape)}
    scan = unpack_scan(header, bytearray(little.tobytes()), str(row["file"]), Limits())
    return replace(scan, pixels=pixels)


def _keep_pixels(pixels: NDArray[Any], target: Path) -> None:
    target.unlink(missing_ok=True)
    if _is_whole_file(pixels):
        try:
            target.hardlink_to(str(pixels.filename))  # type: ignore[attr-defined]
        except OSError:  # another disk, or one without links
            pass
        else:
            return
    np.save(target, np.ascontiguousarray(pixels), allow_pickle=False)


def _is_whole_file(pixels: NDArray[Any]) -> bool:
    """Whether the array is all of a ``.npy`` file, memory-mapped."""
    if not isinstance(pixels, np.memmap) or not pixels.flags.c_contiguous or pixels.filename is None:
        return False
    path = Path(str(pixels.filename))
    return path.suffix == ".npy" and path.stat().st_size == pixels.offset + pixels.nbytes
