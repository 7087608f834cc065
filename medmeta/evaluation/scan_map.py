"""Scans on a plane: those alike to the model lie close together.

The two axes are the first principal components of the features that "most alike" goes by, of support and query
together and without their labels. An axis fitted to labels would set classes apart in any handful of scans, because
features are far more than scans; what lies apart here does so without being asked to.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medmeta.evaluation.result import MapPoint, ScanMap
from medmeta.learners.frozen import FrozenTaskModel
from medmeta.tasks.task import Task


def scan_map(model: FrozenTaskModel, support: Task, query: Task | None = None) -> ScanMap:
    """The plane of a support, and of a query set where there is one.

    Args:
        model: adapted to ``support``.
    """
    tasks = [support] if query is None else [support, query]
    found = model.support if query is None else torch.cat([model.support, model.embed(query.scans)])
    places, kept = plane(found)
    rows = [
        (scan, label, task is support)
        for task in tasks
        for scan, label in zip(task.scans, task.labels, strict=True)
    ]
    points = tuple(
        MapPoint(scan.id, scan.file, scan.group, label, float(x), float(y), learned)
        for (scan, label, learned), (x, y) in zip(rows, places.tolist(), strict=True)
    )
    return ScanMap(points, kept)


def plane(features: Tensor) -> tuple[Tensor, float]:
    """First two principal components.

    Args:
        features: ``(n, D)`` float64, n at least 2.

    Returns:
        ``(n, 2)``, each axis turned so that its largest value is positive, and the share of the variance they keep.
    """
    centred = features - features.mean(dim=0)
    # The n x n Gram matrix has the same components, and n is small.
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    values = values.clamp(min=0.0)
    axes = vectors[:, [-1, -2]] * values[[-1, -2]].sqrt()
    turned = torch.sign(axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)))
    total = float(values.sum())
    kept = float(values[-2:].sum()) / total if total > 0 else 1.0
    return axes * torch.where(turned == 0, 1.0, turned), kept
