"""Files and registered names to tasks and `LabelledSet`s: scans in folders or ZIPs, MedMNIST, tables of texts."""

from __future__ import annotations

import warnings
from pathlib import Path

from medmeta.errors import TaskError
from medmeta.progress import Progress, silent
from medmeta.scans.deidentify import KEY_BYTES
from medmeta.scans.intake import read_source
from medmeta.scans.scan import Rejection
from medmeta.scans.series import representatives
from medmeta.tasks.domains import domain_of
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.medmnist import NAMES_2D, fetch_medmnist, read_npz
from medmeta.tasks.task import Task, make_task
from medmeta.tasks.text_source import read_text_csv

#: Pseudonyms of training data need only keep patients apart; a fixed key gives every machine the same groups.
_KEY = bytes(KEY_BYTES)


def open_set(
    source: str | Path, *, domain: str | None = None, progress: Progress = silent
) -> list[LabelledSet]:
    """Open what meta-training draws tasks from.

    Args:
        source: one of

            - a folder or ZIP of scans (DICOM, NIfTI, PNG, JPEG, TIFF, BMP) with class folders or a ``labels.csv``
              (file,label,group), read as any upload is;
            - a MedMNIST ``.npz`` of 2-D images;
            - a ``.csv`` of texts with the columns text,label and optionally domain,group;
            - a MedMNIST name such as ``"bloodmnist"``, fetched by the optional package ``medmnist``.
        domain: what kind of data it is; where None it is guessed (`medmeta.tasks.domains.domain_of`).
        progress: told while files are read.

    Returns:
        one set, or for a table of texts one set a domain.

    Raises:
        TaskError: nothing of that name, no file that could be read, or labels that contradict each other.
        ModelError: the package ``medmnist`` is missing or could not fetch the set.
    """
    path = Path(source)
    if path.suffix.lower() == ".csv" and path.exists():
        return read_text_csv(path, domain=domain)
    task, rejected = open_scans(source, progress=progress)
    if rejected:
        first = f"{rejected[0].file}: {rejected[0].reason}"
        warnings.warn(f"{path.name}: {len(rejected)} files were refused; the first, {first}", stacklevel=2)
    return [LabelledSet.from_task(task, domain or domain_of(task.name, task.scans))]


def open_scans(source: str | Path, *, progress: Progress = silent) -> tuple[Task, tuple[Rejection, ...]]:
    """Open a data set of scans, as one task; nothing is written anywhere.

    Args:
        source: as of `open_set`, without tables of texts.
        progress: told while files are read.

    Returns:
        the labelled scans, and the files that were refused.

    Raises:
        TaskError, ModelError: as `open_set`.
    """
    path = Path(source)
    if not path.exists():
        if str(source).lower() not in NAMES_2D:
            raise TaskError(
                f"{source}: no such file or folder, and no registered data set; expected a folder or ZIP of scans, "
                f"a .npz, a .csv of texts, or one of {', '.join(NAMES_2D)}"
            )
        return fetch_medmnist(str(source).lower(), progress=progress), ()
    if path.suffix.lower() == ".npz":
        return read_npz(path, progress=progress), ()
    found = read_source(path, key=_KEY, progress=progress)
    if not found.accepted:
        first = next((f"; the first, {bad.file}: {bad.reason}" for bad in found.rejected), "")
        raise TaskError(f"{source}: no file could be read as a scan{first}")
    name = path.stem if path.is_file() else path.resolve().name
    try:
        return make_task(representatives(found.accepted)[0], name), found.rejected
    except TaskError as error:
        raise TaskError(f"{source}: {error}") from error
