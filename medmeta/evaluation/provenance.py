"""What it takes to repeat an evaluation: versions, seed, hashes, device, date."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from medmeta.learners.base import Learner
from medmeta.learners.cards import weight_lines
from medmeta.tasks.task import Task

#: Packages whose version can move a figure; the report names them, and repeating an evaluation compares them.
PACKAGES = ("medmeta", "torch", "numpy", "scipy", "scikit-learn", "pillow", "pydicom")


def task_hash(task: Task) -> str:
    """SHA-256 over the sorted (scan id, label) pairs; independent of file names and of order."""
    lines = sorted(f"{scan.id}\t{label}" for scan, label in zip(task.scans, task.labels, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def provenance(
    learner: Learner, baselines: list[str], support: Task, query: Task | None, *, seed: int, folds: int
) -> dict[str, Any]:
    """Plain values, fit for JSON. ``device`` and ``query_sha256`` are None where there is none."""
    extractor = getattr(learner, "extractor", None)
    device = getattr(learner, "device_name", None) or getattr(extractor, "device_name", None)
    scans = support.scans + (() if query is None else query.scans)
    return {
        **{name: package_version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "seed": seed,
        "learner": learner.name,
        "baselines": baselines,
        "device": None if device is None else str(device),
        "folds": folds,
        "modalities": [
            f"{name} ({count})" for name, count in Counter(s.modality or "not named" for s in scans).items()
        ],
        "weights": list(getattr(learner, "weights", None) or weight_lines(learner.name)),
        "support_sha256": task_hash(support),
        "query_sha256": None if query is None else task_hash(query),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def package_version(name: str) -> str:
    """Version of an installed distribution; of this package also when it runs from its source tree."""
    if name == "medmeta":
        import medmeta

        own = getattr(medmeta, "__version__", None)
        if own is not None:
            return str(own)
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
