"""A run as one ZIP for a reviewer: what it takes to repeat the evaluation, without names of files and patients.

Files become ``scan-001``, patients ``patient-001``, in the order of the task; classes, pixels and the technical
tags stay, as the figures depend on them. The model is left out: repeating the evaluation makes it anew.
"""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from medmeta.evaluation.serialise import from_json
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports.html import html_report
from medmeta.workspace.kept_scans import SCANS, TASK_FILE
from medmeta.workspace.records import WorkspaceError
from medmeta.workspace.run import EVALUATION_FILE, load_thumbnails

_MEMBER = re.compile(rf"{re.escape(TASK_FILE)}|{re.escape(EVALUATION_FILE)}|{SCANS}/[0-9a-f]{{64}}\.npy")
#: Fields whose keys are names of classes.
_BY_CLASS = frozenset(("probabilities", "descriptions"))
#: Bytes a bundle may unpack to; more than any few-shot task needs.
MOST_BYTES = 32 * 2**30
README = f"""MedMeta bundle. {RESEARCH_USE_ONLY}

report.html       what was measured; opens without a network
{EVALUATION_FILE}   the same figures, complete
{TASK_FILE}         scans, labels and patients, under numbers
{SCANS}/           pixels of every scan, named by their SHA-256

To repeat the evaluation and compare every figure:
python -m medmeta report BUNDLE.zip --verify
"""


def write_bundle(folder: Path, target: Path) -> None:
    """Write the bundle of a run; ``target`` appears whole or stays as it was.

    Raises:
        WorkspaceError: the run kept no scans or is damaged, or the place cannot be written.
    """
    try:
        task = json.loads((folder / TASK_FILE).read_text(encoding="utf-8"))
        evaluation = json.loads((folder / EVALUATION_FILE).read_text(encoding="utf-8"))
        files, patients = _numbers(task)
        pixels = {f"{SCANS}/{scan_id}.npy": folder / SCANS / f"{scan_id}.npy" for scan_id in files}
        if not all(map(_MEMBER.fullmatch, pixels)) or not all(path.is_file() for path in pixels.values()):
            raise ValueError("a scan has no pixels")
        task = _renamed(task, files, patients)
        evaluation = _renamed(evaluation, files, patients)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            "the run kept no scans or is damaged, so nobody could repeat it; run the adaptation again"
        ) from error
    report = html_report(from_json(evaluation), thumbnails=load_thumbnails(folder))
    half = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("README.txt", README)
            bundle.writestr("report.html", report)
            bundle.writestr(EVALUATION_FILE, json.dumps(evaluation, indent=1))
            bundle.writestr(TASK_FILE, json.dumps(task, indent=1))
            for name, path in sorted(pixels.items()):
                bundle.write(path, name)
        half.replace(target)
    except OSError as error:
        raise WorkspaceError(
            f"{target}: cannot be written ({error.strerror}); choose another place"
        ) from error
    finally:
        with suppress(OSError):
            half.unlink()


@contextmanager
def opened(run: Path) -> Iterator[Path]:
    """The folder of a run, or of a bundle for as long as it is needed; a bundle is somebody else's file.

    Raises:
        WorkspaceError: there is no such folder or bundle, or the ZIP holds too much or no bundle.
    """
    if run.is_dir():
        yield run
        return
    with tempfile.TemporaryDirectory(prefix="medmeta-bundle-") as name:
        folder = Path(name)
        try:
            with zipfile.ZipFile(run) as bundle:
                members = [item for item in bundle.infolist() if _MEMBER.fullmatch(item.filename)]
                if sum(item.file_size for item in members) > MOST_BYTES:
                    raise WorkspaceError(
                        f"{run.name} would unpack to more than {MOST_BYTES >> 30} GiB; refused"
                    )
                for item in members:
                    bundle.extract(item, folder)
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise WorkspaceError(
                f"{run.name} is no folder of a run and no bundle that can be read; name what adapt or report wrote"
            ) from error
        yield folder


def _numbers(task: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    rows = [row for side in ("support", "query") if task[side] is not None for row in task[side]["scans"]]
    groups = dict.fromkeys(str(row["group"]) for row in rows)
    return (
        {str(row["id"]): f"scan-{number:03d}" for number, row in enumerate(rows, start=1)},
        {group: f"patient-{number:03d}" for number, group in enumerate(groups, start=1)},
    )


def _renamed(value: Any, files: Mapping[str, str], patients: Mapping[str, str]) -> Any:
    """The same JSON with the file of each scan and every patient under a number; warnings of a file are left out."""
    if isinstance(value, list):
        return [_renamed(item, files, patients) for item in value]
    if not isinstance(value, dict):
        return value
    # What the person named, classes, may have any name as a key, that of a field too.
    new = {key: item if key in _BY_CLASS else _renamed(item, files, patients) for key, item in value.items()}
    scan = value.get("scan_id", value.get("id"))
    if scan is not None:
        new["file"] = files[scan]
        if "warnings" in value:
            new["warnings"] = []
    if "group" in value:
        new["group"] = patients[value["group"]]
    return new
