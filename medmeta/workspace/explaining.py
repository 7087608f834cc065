"""Explaining one answer in the background, kept so that a refresh of the page finds it again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medmeta.errors import MedMetaError
from medmeta.evaluation.explanation import Explanation
from medmeta.progress import Progress, part
from medmeta.workspace.jobs import Work
from medmeta.workspace.records import WorkspaceError
from medmeta.workspace.store import Store

if TYPE_CHECKING:
    from medmeta.workspace.work import LoadExtractor

#: Decimals of the heat that are kept.
DECIMALS = 6


def explain_work(store: Store, task_id: str, run: Path, scan_id: str, extractor: LoadExtractor) -> Work:
    """Explain what a run says of a scan: by its model, or for a support scan by one adapted without its patient."""

    def work(out: Path, progress: Progress) -> None:
        from medmeta.evaluation.explain import explain
        from medmeta.learners.frozen import FrozenTaskModel
        from medmeta.learners.registry import load_task_model, make_learner
        from medmeta.workspace.run import load_run

        progress(0.0, "Getting the model ready")
        shared = extractor()
        new = {entry.scan_id: entry for entry in store.entries(task_id, "predict")}
        towards = None
        if scan_id in new:
            scan, model = store.scan(new[scan_id]), load_task_model(run, shared)
        else:
            sets, evaluation = store.task(task_id), load_run(run)
            tasks = [sets.support] if sets.query is None else [sets.support, sets.query]
            found = next((each for task in tasks for each in task.scans if each.id == scan_id), None)
            if found is None:
                raise WorkspaceError("the scan is no longer part of the task; adapt again")
            scan = found
            towards = next((case.predicted for case in evaluation.cases if case.scan_id == scan_id), None)
            if scan_id in {each.id for each in sets.support.scans}:
                rest = [i for i, group in enumerate(sets.support.groups) if group != scan.group]
                model = make_learner(evaluation.learner, shared).adapt(
                    sets.support.subset(rest), progress=part(progress, 0.0, 0.3)
                )
            else:
                model = load_task_model(run, shared)
        if not isinstance(model, FrozenTaskModel):
            raise WorkspaceError("answers of this method cannot be explained; adapt with the default one")
        towards = towards if towards in model.classes else None
        told = explain(model, scan, towards=towards, progress=part(progress, 0.3, 1.0))
        saved = {**asdict(told), "heat": np.round(told.heat, DECIMALS).tolist(), "scan_id": scan_id}
        (out / "explanation.json").write_text(json.dumps(saved), encoding="utf-8")

    return work


def load_explanation(out: Path) -> Explanation:
    """Read back what :func:`explain_work` wrote.

    Raises:
        WorkspaceError: the folder holds no readable ``explanation.json``.
    """
    try:
        data: dict[str, Any] = json.loads((out / "explanation.json").read_text(encoding="utf-8"))
        heat = np.asarray(data["heat"], dtype=np.float64)
        if heat.ndim != 2:
            raise ValueError("the heat is not a picture")
        return Explanation(
            str(data["towards"]), str(data["against"]), heat, float(data["lead"]), float(data["start"])
        )
    except (OSError, ValueError, KeyError, TypeError, MedMetaError) as error:
        raise WorkspaceError("the explanation is missing or damaged; ask for it again") from error
