"""One run: adapt, evaluate, and keep everything a person may want of it in one folder.

The folder holds ``model.safetensors`` and ``model.json`` (the task model), ``evaluation.json``,
``cases.csv``, ``thumbs/<scan id>.png`` of every scan the evaluation names, and what repeating it takes
(`kept_scans`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from medmeta.evaluation.protocols import evaluate
from medmeta.evaluation.result import Evaluation
from medmeta.evaluation.serialise import from_json, to_json
from medmeta.learners.base import Learner
from medmeta.progress import Progress, part, silent
from medmeta.reports.tables import cases_csv
from medmeta.scans.display import thumbnail
from medmeta.tasks.task import Task
from medmeta.workspace.kept_scans import keep_scans, remove_others
from medmeta.workspace.records import WorkspaceError

EVALUATION_FILE = "evaluation.json"


def run_task(
    support: Task,
    query: Task | None,
    learner: Learner,
    baselines: Sequence[Learner],
    out: Path,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Adapt ``learner`` on ``support``, evaluate it, and write the run into ``out``.

    Args:
        query: labelled scans to test on; None tests by leaving one patient out of the support.
        baselines: simple methods evaluated on the same folds, for comparison.
        out: folder of the run; made when absent, files of an earlier run are replaced.

    Raises:
        TaskError: the scans cannot be learned from or evaluated as they stand.
        CancelledError: ``progress`` asked to stop.
    """
    model, evaluation = evaluate(
        learner, support, query, baselines=baselines, seed=seed, progress=part(progress, 0.0, 0.95)
    )
    progress(0.95, "Saving the result")
    out.mkdir(parents=True, exist_ok=True)
    (out / EVALUATION_FILE).unlink(missing_ok=True)  # an earlier run's must not stand beside this one's model
    model.save(out)
    (out / "cases.csv").write_text(cases_csv(evaluation), encoding="utf-8", newline="")
    thumbs = out / "thumbs"
    thumbs.mkdir(exist_ok=True)
    scans = {scan.id: scan for task in (support, query) if task is not None for scan in task.scans}
    for number, (scan_id, scan) in enumerate(scans.items(), start=1):
        (thumbs / f"{scan_id}.png").write_bytes(thumbnail(scan))
        progress(0.95 + 0.03 * number / len(scans), "Saving the result")
    remove_others(thumbs, scans, ".png")
    keep_scans(out, support, query, part(progress, 0.98, 1.0))
    (out / EVALUATION_FILE).write_text(json.dumps(to_json(evaluation), indent=2), encoding="utf-8")
    return evaluation


def load_run(out: Path) -> Evaluation:
    """Read back what `run_task` measured.

    Raises:
        WorkspaceError: the folder holds no readable ``evaluation.json``.
    """
    path = out / EVALUATION_FILE
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            f"{path.name} of the run is missing, damaged or from another version; run the adaptation again"
        ) from error


def load_thumbnails(out: Path) -> dict[str, bytes]:
    """PNG bytes of the run's scans by scan id; empty when the run kept none."""
    folder = out / "thumbs"
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.png"))} if folder.is_dir() else {}
