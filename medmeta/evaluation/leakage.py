"""Whether the classes can be told apart without looking at the disease: by technical data, or by image borders.

Each property alone predicts the label of each patient left out, through ridge regression on the patients' means. How
many are right is compared with the same after shuffling labels among patients, the best of all properties each time
(Westfall and Young), so that looking at many properties raises no more false alarms than looking at one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmeta.evaluation.result import Leak
from medmeta.scans.intensity import model_image
from medmeta.scans.scan import Scan

#: Shuffles of the labels, and the chance of a false alarm in one evaluation.
SHUFFLES, ALARM = 999, 0.02
#: How far from guessing (0) to perfect (1) a property must come to be worth a warning.
TELLING = 0.5
#: More patients than this add nothing to the answer, only time.
MOST_PATIENTS = 300
#: The model's view is read at this side; a corner is a quarter of it, a border an eighth.
SIDE = 64
CORNER, BORDER = SIDE // 4, SIDE // 8
RIDGE = 0.1

Values = NDArray[np.float64]

TAG_NAMES: Mapping[str, str] = {
    "SOPClassUID": "kind of DICOM object",
    "Modality": "modality",
    "BodyPartExamined": "body part",
    "ViewPosition": "view position",
    "PhotometricInterpretation": "kind of pixel values",
    "BitsStored": "bits stored",
    "PixelSpacing": "pixel spacing",
    "ImagerPixelSpacing": "pixel spacing at the detector",
    "SliceThickness": "slice thickness",
    "KVP": "tube voltage",
    "MagneticFieldStrength": "magnetic field strength",
}
#: Said better by the scan itself.
_TOLD_ELSEWHERE = {"Rows", "Columns", "NumberOfFrames"}


def find_leaks(scans: Sequence[Scan], labels: Sequence[str], *, seed: int) -> tuple[Leak, ...]:
    """Properties that tell the classes apart beyond chance, the most telling first.

    Patients with scans of several labels are left out, for nothing about a patient can tell those apart.

    Args:
        scans: n scans of any size.
        labels: label of each.
        seed: of the shuffles, and of the choice where there are more than :data:`MOST_PATIENTS` patients.

    References:
        Westfall PH, Young SS. Resampling-Based Multiple Testing. Wiley, 1993.
    """
    patients = _patients(scans, labels, seed)
    names = sorted({label for label, _ in patients})
    targets = np.array([names.index(label) for label, _ in patients], dtype=np.int64)
    counts = np.bincount(targets, minlength=len(names))
    if len(names) < 2 or len(targets) < 4 or counts.max() > len(targets) - 2:
        return ()
    checks = [*_technical(patients), *_borders(patients)]
    if not checks:
        return ()
    shuffled = np.random.default_rng(seed).permuted(np.tile(targets, (SHUFFLES, 1)), axis=1)
    best = np.zeros(SHUFFLES, dtype=np.int64)
    right = []
    for check in checks:
        found = _right(check.values, np.vstack([targets, shuffled]), len(names))
        right.append(int(found[0]))
        np.maximum(best, found[1:], out=best)
    n, guess = len(targets), int(counts.max())
    leaks = [
        Leak(check.name, check.kind, hits, n, guess, float((1 + (best >= hits).sum()) / (1 + SHUFFLES)))
        for check, hits in zip(checks, right, strict=True)
        if hits - guess >= TELLING * (n - guess)
    ]
    return tuple(sorted((leak for leak in leaks if leak.p <= ALARM), key=lambda leak: -leak.correct))


@dataclass(frozen=True, eq=False)
class _Check:
    """A property of the patients: ``(n, D)`` columns."""

    name: str
    kind: str
    values: Values


_Patient = tuple[str, list[Scan]]


def _patients(scans: Sequence[Scan], labels: Sequence[str], seed: int) -> list[_Patient]:
    together: dict[str, list[Scan]] = {}
    told: dict[str, set[str]] = {}
    for scan, label in zip(scans, labels, strict=True):
        together.setdefault(scan.group, []).append(scan)
        told.setdefault(scan.group, set()).add(label)
    kept = [(next(iter(told[group])), own) for group, own in together.items() if len(told[group]) == 1]
    if len(kept) > MOST_PATIENTS:
        chosen = np.random.default_rng(seed).choice(len(kept), MOST_PATIENTS, replace=False)
        kept = [kept[i] for i in sorted(chosen)]
    return kept


def _technical(patients: Sequence[_Patient]) -> list[_Check]:
    """One check a tag that varies, image size, file compression and so on; and one with all of them."""
    everything = [scan for _, own in patients for scan in own]
    keywords = sorted({keyword for scan in everything for keyword in scan.tags} - _TOLD_ELSEWHERE)
    read: dict[str, list[list[Any]]] = {
        TAG_NAMES.get(keyword, keyword): [[scan.tags.get(keyword) for scan in own] for _, own in patients]
        for keyword in keywords
    }
    read |= {
        "image size": [[(scan.rows, scan.columns) for scan in own] for _, own in patients],
        "number of frames": [[scan.frames for scan in own] for _, own in patients],
        "colour or greyscale": [[scan.is_colour for scan in own] for _, own in patients],
        "file compression": [[scan.transfer_syntax for scan in own] for _, own in patients],
        "greyscale polarity": [[scan.monochrome1 for scan in own] for _, own in patients],
        "kind of pixel values in the file": [[str(scan.pixels.dtype) for scan in own] for _, own in patients],
    }
    checks = []
    for name, values in read.items():
        columns = [_shares(values)]
        if all(isinstance(value, int | float) for own in values for value in own):
            columns.append(np.array([[float(np.mean(own))] for own in values]))
        if name == "image size":
            columns.append(np.array([np.mean(np.log(own), axis=0) for own in values]))
        table = _standardised(np.hstack(columns))
        if table.shape[1]:
            checks.append(_Check(name, "technical", table))
    if len(checks) > 1:
        checks.append(
            _Check("all technical data together", "technical", np.hstack([c.values for c in checks]))
        )
    return checks


def _shares(values: Sequence[Sequence[object]]) -> Values:
    """Of each patient's scans, the share with each value that at least two patients have."""
    known = Counter(value for own in values for value in set(own))
    columns = [value for value, patients in known.items() if patients > 1]
    return np.array([[own.count(value) / len(own) for value in columns] for own in map(list, values)])


def _borders(patients: Sequence[_Patient]) -> list[_Check]:
    """One check a corner and side of the model's view; and one with all of them."""
    read = [np.mean([_edges(scan) for scan in own], axis=0) for _, own in patients]
    names = list(_regions(np.zeros((3, SIDE, SIDE), dtype=np.float32)))
    table = np.array(read)
    checks = []
    for place, name in enumerate(names):
        values = _standardised(table[:, place])
        if values.shape[1]:
            checks.append(_Check(name, "image", values))
    if len(checks) > 1:
        checks.append(_Check("all borders together", "image", np.hstack([c.values for c in checks])))
    return checks


def _regions(view: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    c, b = CORNER, BORDER
    return {
        "top left corner": view[:, :c, :c],
        "top right corner": view[:, :c, -c:],
        "bottom left corner": view[:, -c:, :c],
        "bottom right corner": view[:, -c:, -c:],
        "top border": view[:, :b],
        "bottom border": view[:, -b:],
        "left border": view[:, :, :b],
        "right border": view[:, :, -b:],
    }


def _edges(scan: Scan) -> Values:
    """Brightness, contrast, darkest and brightest of each region, ``(regions, 4)``."""
    grey = [region.mean(axis=0) for region in _regions(model_image(scan, SIDE)).values()]
    return np.array([[part.mean(), part.std(), part.min(), part.max()] for part in grey], dtype=np.float64)


def _standardised(values: Values) -> Values:
    """Columns that vary, to mean 0 and deviation 1."""
    spread = values.std(axis=0)
    kept = spread > 1e-9
    found: Values = (values[:, kept] - values[:, kept].mean(axis=0)) / spread[kept]
    return found


def _right(values: Values, targets: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """Patients right, each predicted from the others, for every row of ``targets`` ``(S, n)``.

    Ridge regression of the classes' indicators, each class weighing the same; the hat matrix gives all left-out
    predictions at once, because it does not depend on the labels.
    """
    n = len(values)
    inner = values @ values.T + RIDGE * n * np.eye(n)
    hat = values @ values.T @ np.linalg.inv(inner) + 1 / n
    own = np.diagonal(hat)
    right = np.zeros(len(targets), dtype=np.int64)
    share = np.bincount(targets[0], minlength=n_classes) / n
    for start in range(0, len(targets), 100):
        part = targets[start : start + 100]
        wanted = np.eye(n_classes)[part] - share
        # All shuffles side by side are one matrix product.
        all_at_once = hat @ wanted.transpose(1, 0, 2).reshape(n, -1)
        read = all_at_once.reshape(n, len(part), n_classes).transpose(1, 0, 2)
        left_out = (read - own[:, None] * wanted) / (1 - own)[:, None]
        right[start : start + 100] = ((left_out / np.sqrt(share * (1 - share))).argmax(axis=2) == part).sum(
            axis=1
        )
    return right
