"""The whole path in five functions; the shell and the workbench run the same code below them."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

from medmeta.errors import MedMetaError, TaskError
from medmeta.evaluation import protocols
from medmeta.evaluation.result import Evaluation
from medmeta.learners.base import TaskModel
from medmeta.learners.registry import (
    BASELINES,
    find_learner,
    load_extractor,
    load_task_model,
    make_learner,
)
from medmeta.models.features import FeatureExtractor
from medmeta.progress import Progress, silent
from medmeta.scans.deidentify import load_or_create_key
from medmeta.scans.intake import read_source
from medmeta.scans.scan import Intake, Scan
from medmeta.scans.series import representatives
from medmeta.tasks.task import Task, make_task
from medmeta.workspace.store import default_root


def intake(source: str | Path, *, progress: Progress = silent) -> Intake:
    """Read, check and de-identify every scan of a folder, a ZIP or one file.

    A patient gets the same pseudonym in every call: the key is kept in the workspace folder.

    Raises:
        MedMetaError: there is no such file or folder, or no workspace folder can be made.
    """
    root = default_root()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = load_or_create_key(root / "pseudonyms.key")
    except OSError as error:
        raise MedMetaError(
            f"the workspace folder {root} cannot be written ({error.strerror}); set MEDMETA_WORKSPACE to a folder of "
            "yours"
        ) from error
    return read_source(Path(source), key=key, progress=progress)


def read_scans(source: str | Path, *, progress: Progress = silent) -> tuple[Scan, ...]:
    """The scans of a folder, a ZIP or one file, one slice a volume; a refused file becomes a Python warning.

    `intake` gives every slice.

    Raises:
        TaskError: not one file could be read.
    """
    found = _kept(intake(source, progress=progress), Path(source))
    return tuple(item.scan for item in representatives(found.accepted)[0])


def read_task(source: str | Path, name: str | None = None, *, progress: Progress = silent) -> Task:
    """Labelled scans as a task: folders name the classes, or a ``labels.csv`` (file,label,group) does.

    Of a CT, MR or PET series the central slice is taken, or the slices that have labels of their own
    (`medmeta.scans.series.representatives`).

    Raises:
        TaskError: no file could be read, a scan has no label, or pixels carry two labels.
    """
    path = Path(source)
    found = _kept(intake(path, progress=progress), path)
    return make_task(representatives(found.accepted)[0], name or path.stem)


def adapt(
    support: Task, *, learner: str = "default", device: str = "auto", progress: Progress = silent
) -> TaskModel:
    """Adapt to a task's classes; the answer has ``predict`` and ``save``.

    Args:
        support: labelled scans.
        learner: a name of `medmeta.learners.registry.LEARNERS`, or a folder that `train` wrote.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: told how far it is; may raise to stop.

    Raises:
        TaskError: the support cannot be learned from.
        ModelError: no such learner or device.
    """
    return find_learner(learner, extractor(device)).adapt(support, progress=progress)


def evaluate(
    support: Task,
    query: Task | None = None,
    *,
    learner: str = "default",
    device: str = "auto",
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Measure on ``query``, or by leaving each patient of the support out; simple baselines on the same folds.

    Raises:
        TaskError: too few patients, or support and query share a patient or pixels.
    """
    shared = extractor(device)
    return protocols.evaluate(
        find_learner(learner, shared),
        support,
        query,
        baselines=[make_learner(name, shared) for name in BASELINES],
        seed=seed,
        progress=progress,
    )[1]


def load_model(folder: str | Path, *, device: str = "auto") -> TaskModel:
    """Read a task model that ``save`` or ``python -m medmeta adapt`` wrote.

    Raises:
        ModelError: missing, altered, or made with another backbone.
    """
    return load_task_model(Path(folder), extractor(device))


@cache
def extractor(device: str = "auto") -> FeatureExtractor:
    """The backbone, loaded once a device and process."""
    return load_extractor(device)


def _kept(found: Intake, source: Path) -> Intake:
    for rejection in found.rejected:
        warnings.warn(f"{rejection.file} was refused: {rejection.reason}", stacklevel=3)
    for note in found.warnings:
        warnings.warn(note, stacklevel=3)
    if not found.accepted:
        first = (
            f"; the first file, {found.rejected[0].file}: {found.rejected[0].reason}"
            if found.rejected
            else ""
        )
        raise TaskError(f"{source.name}: no file could be read as a scan{first}")
    return found
