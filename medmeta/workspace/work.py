"""What the background jobs do: each function makes the `Work` that a `JobRunner` is given.

The learners are imported inside the work, so that a page that only starts it opens without them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from medmeta.progress import Progress, part
from medmeta.scans.pixel_text import TextFinder
from medmeta.workspace import pixel_text
from medmeta.workspace.jobs import Work
from medmeta.workspace.looks import Looks
from medmeta.workspace.reading import read_scans
from medmeta.workspace.records import Role, WorkspaceError
from medmeta.workspace.store import Store
from medmeta.workspace.uploads import Upload
from medmeta.workspace.volumes import used

if TYPE_CHECKING:
    from medmeta.models.features import FeatureExtractor

#: Loads the feature extractor on its first call; the same one ever after.
LoadExtractor = Callable[[], "FeatureExtractor"]


def intake_work(
    store: Store,
    task_id: str,
    uploads: Sequence[Upload],
    role: Role,
    *,
    look: Callable[[], object] | None = None,
) -> Work:
    """Take uploads into a task and look for burned-in text; the last progress message is the summary.

    Args:
        look: starts a job of `look_work` once the files are read, so that a person need not wait for it to label
            them; where None, this job looks.
    """
    finder = TextFinder()

    def work(out: Path, progress: Progress) -> None:
        read = part(progress, 0.0, 0.5 if look is None else 1.0)
        summary = store.add_uploads(task_id, uploads, read, role=role)
        if look is None:
            pixel_text.search(store, task_id, finder, part(progress, 0.5, 1.0))
        else:
            look()
        (out / "summary.json").write_text(json.dumps(asdict(summary)), encoding="utf-8")
        progress(1.0, summary.sentence())

    return work


def look_work(store: Store, task_id: str, looks: Looks) -> Work:
    """Look for burned-in text on every scan that has not been looked at, since none is used before; then compare the
    scans."""

    def work(out: Path, progress: Progress) -> None:
        pixel_text.search(store, task_id, TextFinder(), part(progress, 0.0, 0.8))
        looks.complete(store, task_id, part(progress, 0.8, 1.0))

    return work


def adapt_work(
    store: Store, task_id: str, extractor: LoadExtractor, *, looks: Looks | None = None, seed: int = 0
) -> Work:
    """Adapt the default learner on a task's labelled scans and evaluate it beside the baselines.

    Args:
        looks: rests meanwhile.
    """

    def work(out: Path, progress: Progress) -> None:
        from medmeta.learners.registry import BASELINES, make_learner
        from medmeta.workspace.run import run_task

        progress(0.0, "Reading the scans")
        pixel_text.search(store, task_id, TextFinder(), part(progress, 0.0, 0.02))
        sets = store.task(task_id)
        progress(0.02, "Getting the model ready")
        shared = extractor()
        with nullcontext() if looks is None else looks.resting():
            run_task(
                sets.support,
                sets.query,
                make_learner("default", shared),
                [make_learner(name, shared) for name in BASELINES],
                out,
                seed=seed,
                progress=part(progress, 0.05, 1.0),
            )

    return work


def predict_work(store: Store, task_id: str, run: Path, extractor: LoadExtractor) -> Work:
    """Read the task's new scans with the model a run has saved."""

    def work(out: Path, progress: Progress) -> None:
        progress(0.0, "Getting the model ready")
        from medmeta.learners.registry import load_task_model

        model = load_task_model(run, extractor())
        pixel_text.search(store, task_id, TextFinder(), part(progress, 0.05, 0.1))
        entries = used(store.entries(task_id, "predict"))
        if not entries:
            raise WorkspaceError("there are no new scans to read; add some first")
        entries = [entry for entry in entries if not entry.held]
        if not entries:
            raise WorkspaceError(
                "every new scan may show burned-in text; look at them above and say what to do, then read them"
            )
        scans = [store.scan(entry) for entry in entries]
        read_scans(model, scans, out, progress=part(progress, 0.1, 1.0))

    return work
