"""Answers about scans of patients that the model has not learned from, checked, as cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medmeta.errors import ModelError
from medmeta.evaluation.in_turn import InTurn
from medmeta.evaluation.result import Case
from medmeta.learners.base import Learner, Prediction, TaskModel
from medmeta.progress import Progress, part
from medmeta.scans.scan import Scan
from medmeta.tasks.splits import Fold
from medmeta.tasks.task import Task

#: Stands in for an out-of-domain score that is not a number or not finite.
FAR_AWAY = 1e6


def learnable(support: Task, positions: Sequence[int]) -> bool:
    """Whether these scans have two classes and two patients to learn from."""
    groups, labels = support.groups, support.labels
    return len({labels[i] for i in positions}) >= 2 and len({groups[i] for i in positions}) >= 2


@dataclass(frozen=True, eq=False)
class _Answers:
    """A `Prediction` checked and spread over all classes of the task."""

    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    out_of_domain: tuple[float, ...]
    abstained: tuple[bool, ...]
    nearest: tuple[tuple[tuple[str, str, str, float], ...], ...]


def leave_out(
    learners: Sequence[Learner], support: Task, folds: Sequence[Fold], progress: Progress
) -> list[list[Case]]:
    """Cases of each learner, in the order of the support's scans, each read by a model without its patient."""
    found: list[dict[int, Case]] = [{} for _ in learners]
    patients = len(set(support.groups))
    done, steps = 0, len(folds) * len(learners)
    rest = [support.subset(fold.train) for fold in folds if learnable(support, fold.train)]
    models = [InTurn(learner, rest) for learner in learners]
    for number, fold in enumerate(folds, start=1):
        one_by_one = len(folds) == patients
        where = f"Patient {number} of {patients}" if one_by_one else f"Fold {number} of {len(folds)}"
        scans = [support.scans[i] for i in fold.test]
        for index, learner in enumerate(learners):
            who = where if index == 0 else f"{where}, for comparison: {learner.name}"
            progress(done / steps, who)
            if learnable(support, fold.train):
                # Steps within a fold only ask whether to stop; the sentence stays the same.
                steady = part(_sentence(progress, who), done / steps, (done + 1) / steps)
                model = models[index].next(part(steady, 0.0, 0.9))
                prediction = model.predict(scans, progress=part(steady, 0.9, 1.0))
                answers = _spread(prediction, support.classes, len(scans), learner.name)
            else:
                answers = _frequencies(support, fold.train, len(scans))
            for place, case in zip(fold.test, _cases(support, fold.test, answers), strict=True):
                found[index][place] = case
            done += 1
    progress(1.0, f"All {patients} patients predicted")
    return [[cases[i] for i in range(len(support.scans))] for cases in found]


def on_query(
    learners: Sequence[Learner], model: TaskModel, support: Task, query: Task, progress: Progress
) -> list[list[Case]]:
    """Cases of each learner on a query set; ``model`` is the first learner's, adapted to the support."""
    found = []
    for index, learner in enumerate(learners):
        share = part(progress, index / len(learners), (index + 1) / len(learners))
        if index > 0:
            note = f"For comparison: {learner.name}"
            model = learner.adapt(support, progress=part(_sentence(share, note), 0.0, 0.5))
        else:
            note = f"Predicting {len(query.scans)} scans of the query set"
        share(0.5, note)
        prediction = model.predict(query.scans, progress=part(_sentence(share, note), 0.5, 1.0))
        answers = _spread(prediction, support.classes, len(query.scans), learner.name)
        found.append(_cases(query, range(len(query.scans)), answers))
    return found


def _sentence(progress: Progress, message: str) -> Progress:
    return lambda fraction, _: progress(fraction, message)


def _spread(prediction: Prediction, classes: tuple[str, ...], n: int, name: str) -> _Answers:
    """Check a prediction and map its classes onto the task's; a class it lacks gets probability 0."""
    given = np.asarray(prediction.probabilities, dtype=np.float64)
    columns = [classes.index(label) for label in prediction.classes if label in classes]
    sound = (
        given.shape == (n, len(prediction.classes))
        and len(columns) == len(set(prediction.classes)) == len(prediction.classes)
        and len(prediction.labels) == len(prediction.out_of_domain) == len(prediction.abstained) == n
        and len(prediction.neighbours) == n
        and set(prediction.labels) <= set(prediction.classes)
        and bool(np.all(np.isfinite(given)) and np.all(given >= 0))
        and bool(np.allclose(given.sum(axis=1), 1.0, atol=1e-6))
    )
    if not sound:
        raise ModelError(
            f"the learner {name} must give {n} labels and rows of probabilities over the task's classes that sum "
            f"to 1, found an array of shape {given.shape} over {len(prediction.classes)} classes; mend the learner"
        )
    spread = np.zeros((n, len(classes)))
    spread[:, columns] = given
    return _Answers(
        tuple(prediction.labels),
        spread,
        tuple(
            float(np.nan_to_num(d, nan=FAR_AWAY, posinf=FAR_AWAY, neginf=0.0))
            for d in prediction.out_of_domain
        ),
        tuple(bool(flag) for flag in prediction.abstained),
        tuple(
            tuple((near.scan_id, near.file, near.label, float(near.similarity)) for near in row)
            for row in prediction.neighbours
        ),
    )


def _frequencies(support: Task, positions: Sequence[int], n: int) -> _Answers:
    """The answer where nothing can be learned: how often each class occurs in the rest, abstaining."""
    counts = Counter(support.labels[i] for i in positions)
    row = [counts[label] / len(positions) for label in support.classes]
    best = support.classes[int(np.argmax(row))]
    return _Answers((best,) * n, np.tile(row, (n, 1)), (0.0,) * n, (True,) * n, ((),) * n)


def _cases(task: Task, positions: Sequence[int], answers: _Answers) -> list[Case]:
    cases = []
    for row, position in enumerate(positions):
        scan: Scan = task.scans[position]
        cases.append(
            Case(
                file=scan.file,
                scan_id=scan.id,
                group=scan.group,
                label=task.labels[position],
                predicted=answers.labels[row],
                probabilities=tuple(float(p) for p in answers.probabilities[row]),
                abstained=answers.abstained[row],
                out_of_domain=answers.out_of_domain[row],
                nearest=answers.nearest[row],
            )
        )
    return cases
