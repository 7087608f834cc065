"""MedMNIST's ``.npz`` files of 2-D images (Yang et al. 2023, doi:10.1038/s41597-022-01721-8) as tasks."""

from __future__ import annotations

import importlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from medmeta.errors import ModelError, TaskError
from medmeta.progress import Progress, silent
from medmeta.scans.limits import GIB, in_words
from medmeta.scans.scan import LabelledScan, Scan, content_hash
from medmeta.tasks.task import Task, make_task

#: Registered 2-D sets with one label an image (chestmnist has fourteen).
NAMES_2D = (
    "bloodmnist",
    "breastmnist",
    "dermamnist",
    "octmnist",
    "organamnist",
    "organcmnist",
    "organsmnist",
    "pathmnist",
    "pneumoniamnist",
    "retinamnist",
    "tissuemnist",
)
SPLITS = ("train", "val", "test")
#: Bytes one set's arrays may unpack to: the largest at 28 px has 252 MB, at 64 px 1.3 GB.
MOST_BYTES = 2 * GIB


def read_npz(
    path: Path,
    *,
    classes: Mapping[str, str] | None = None,
    most_bytes: int = MOST_BYTES,
    progress: Progress = silent,
) -> Task:
    """Read a MedMNIST file; its three splits become one task, and episodes split it anew.

    The file names no patients, so each image is its own group; exact copies of an image count once.

    Args:
        path: holds ``train_images`` uint8 ``(n, rows, columns)`` or ``(n, rows, columns, 3)`` and ``train_labels``
            integers ``(n, 1)`` or ``(n,)``, and likewise ``val_`` and ``test_``.
        classes: class names by label, ``{"0": "basophil", ...}``; the labels themselves where None.
        most_bytes: limit on the unpacked arrays, checked against their headers before any is read.
        progress: told after every split.

    Raises:
        TaskError: damaged or too large, an array missing or of another kind (3-D volumes, several labels an image,
            pickled objects), or the same pixels under two labels.
    """
    items: list[LabelledScan] = []
    for number, split in enumerate(SPLITS, start=1):
        images, labels = _read_split(path, split, most_bytes)
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            pixels = image[None].copy()  # a view would keep every split alive for one scan
            identity = content_hash(pixels)
            scan = Scan(f"{path.name}/{split}/{row}", pixels, f"file-{identity[:12]}", id=identity)
            items.append(LabelledScan(scan, (classes or {}).get(str(label), str(label))))
        progress(number / len(SPLITS), f"Read the {split} images of {path.name}")
    return make_task(items, path.stem)


def fetch_medmnist(name: str, *, progress: Progress = silent) -> Task:
    """A registered set by name, downloaded once by the package ``medmnist`` to its own folder.

    Raises:
        ModelError: the package is missing, or the set is not on this machine and cannot be fetched.
    """
    try:
        medmnist = importlib.import_module("medmnist")
    except ImportError:
        raise ModelError(
            f"{name}: registered data sets need the package medmnist; run pip install 'medmeta[medmnist]', or give "
            f"the path of {name}.npz"
        ) from None
    entry: Mapping[str, Any] = medmnist.INFO[name]
    progress(0.0, f"Fetching {name}")
    try:
        opened = getattr(medmnist, entry["python_class"])(split="train", download=True)
    except (RuntimeError, OSError) as problem:
        raise ModelError(
            f"{name}: is not on this machine and could not be fetched; connect to the network once, or download "
            f"{name}.npz elsewhere and give its path"
        ) from problem
    return read_npz(Path(opened.root) / f"{name}.npz", classes=entry["label"], progress=progress)


def _read_split(path: Path, split: str, most: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        with zipfile.ZipFile(path) as archive:
            images = _array(archive, path.name, f"{split}_images", most)
            labels = _array(archive, path.name, f"{split}_labels", most)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise TaskError(f"{path.name}: is no .npz file, or a damaged one; download it again") from None
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3) or images.dtype != np.uint8:
        volumes = "; sets of 3-D volumes are not supported" if images.ndim >= 4 else ""
        raise TaskError(
            f"{path.name}: {split}_images must be uint8 (n, rows, columns) or (n, rows, columns, 3), found "
            f"{images.dtype} {images.shape}{volumes}"
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise TaskError(
            f"{path.name}: {split}_labels must be integers, one for each of {len(images)} images, found "
            f"{labels.dtype} {labels.shape}; a set with several labels an image cannot be used"
        )
    return images, labels.astype(np.int64)


def _array(archive: zipfile.ZipFile, file: str, key: str, most: int) -> NDArray[Any]:
    """One array, its header checked before anything is allocated, and never unpickled."""
    try:
        member = archive.open(f"{key}.npy")
    except KeyError:
        raise TaskError(
            f"{file}: holds no {key}; a MedMNIST file has train_, val_ and test_ images and labels"
        ) from None
    with member:
        try:
            shape, kind = _header(member)
        except ValueError:
            raise TaskError(f"{file}: {key} is no array; download the file again") from None
        count = int(np.prod(shape, dtype=object))
        if kind.hasobject:
            raise TaskError(f"{file}: {key} holds pickled objects, which are never opened; expected numbers")
        if count * kind.itemsize > most:
            raise TaskError(
                f"{file}: {key} claims {in_words(count * kind.itemsize)}; at most {in_words(most)} are read, so use "
                "a smaller version of the set"
            )
    with archive.open(f"{key}.npy") as member:
        try:
            return np.asarray(npy.read_array(member, allow_pickle=False))
        except ValueError:
            raise TaskError(f"{file}: {key} is cut short; download the file again") from None


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, kind = read(stream)
    return shape, kind
