"""What it takes to repeat an evaluation: versions, seed, hashes, device, date."""

from __future__ import annotations

import hashlib
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from medmeta.learners.base import Learner
from medmeta.tasks.task import Task


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
    return {
        "medmeta": package_version("medmeta"),
        "torch": package_version("torch"),
        "numpy": package_version("numpy"),
        "scikit-learn": package_version("scikit-learn"),
        "python": platform.python_version(),
        "seed": seed,
        "learner": learner.name,
        "baselines": baselines,
        "device": None if device is None else str(device),
        "folds": folds,
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
