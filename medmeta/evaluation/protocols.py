"""How a learner is measured: never on a patient it adapted on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medmeta.errors import ModelError, TaskError
from medmeta.evaluation import metrics
from medmeta.evaluation.further import further_figures, reliability_points
from medmeta.evaluation.influence import MOST_SCANS, Similar, influences
from medmeta.evaluation.intervals import paired_difference, scan_share
from medmeta.evaluation.leakage import find_leaks
from medmeta.evaluation.learning_curve import learning_curve
from medmeta.evaluation.notes import collect_notes
from medmeta.evaluation.provenance import provenance
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, QUERY_SET, Case, Comparison, Evaluation
from medmeta.evaluation.scan_map import scan_map
from medmeta.evaluation.suspects import movers, suspects
from medmeta.learners.base import Learner, Prediction, TaskModel
from medmeta.learners.frozen import FrozenTaskModel
from medmeta.progress import Progress, part, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.splits import Fold, leave_one_group_out
from medmeta.tasks.task import Task, check_disjoint

#: Up to this many patients are left out one by one; more share :data:`SHARED_FOLDS` folds.
MAX_SINGLE_FOLDS = 200
SHARED_FOLDS = 20
#: Stands in for an out-of-domain score that is not a number or not finite.
FAR_AWAY = 1e6


def evaluate(
    learner: Learner,
    support: Task,
    query: Task | None = None,
    *,
    baselines: Sequence[Learner] = (),
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[TaskModel, Evaluation]:
    """Adapt on the whole support (timed) and measure on patients the measured model has not seen.

    Args:
        learner: the method measured.
        support: labelled scans to adapt on.
        query: labelled scans to predict. None: each patient of the support is left out in turn, a
            model is adapted on the rest and predicts that patient. A fold whose rest has lost a
            class gives that class probability 0; a fold whose rest cannot be learned from (one
            class, or one patient) answers with the rest's class frequencies and abstains.
        baselines: simple methods run on the same folds or the same query.
        seed: recorded in the provenance. Only the resampled patients behind some intervals are drawn from it;
            learners carry their own.
        progress: told the patient at work; may raise to cancel, also in the middle of a fold.

    Returns:
        the model adapted on the whole support, and what was measured.

    Raises:
        TaskError: support and query overlap, or too few patients to leave one out.
        ModelError: a learner broke the contract of `Prediction`.
        CancelledError: ``progress`` asked to stop.
    """
    folds = _folds(support, query)
    started = time.perf_counter()
    model = learner.adapt(support, progress=part(progress, 0.0, 0.5))
    seconds = time.perf_counter() - started
    learners = [learner, *baselines]
    # Heads on features already known: hundreds of smaller supports take seconds.
    quick = isinstance(model, FrozenTaskModel)
    rest = part(progress, 0.5, 0.75 if quick else 1.0)
    if query is None:
        tested = support
        all_cases = leave_out(learners, support, folds, rest)
    else:
        tested = query
        all_cases = _on_query(learners, model, support, query, rest)
    draft = _figures(
        learner.name,
        tested,
        support,
        all_cases[0],
        seconds,
        LEAVE_ONE_GROUP_OUT if query is None else QUERY_SET,
    )
    draft = replace(
        draft,
        comparisons=tuple(
            _compare(baseline.name, draft, cases)
            for baseline, cases in zip(baselines, all_cases[1:], strict=True)
        ),
        provenance=provenance(
            learner, [each.name for each in baselines], support, query, seed=seed, folds=len(folds)
        ),
        further=further_figures(draft.cases, draft.classes, seed=seed),
        reliability=reliability_points(draft.cases, draft.classes),
    )
    if query is None:
        draft = _about_labels(draft, learner, support)
    scans = support.scans + (() if query is None else query.scans)
    labels = support.labels + (() if query is None else query.labels)
    draft = replace(draft, leaks=find_leaks(scans, labels, seed=seed))
    if isinstance(model, FrozenTaskModel):
        draft = replace(draft, map=scan_map(model, support, query))
        curve = learning_curve(learner, support, query, seed=seed, progress=part(progress, 0.75, 1.0))
        draft = replace(draft, curve=curve)
    progress(1.0, "Evaluated")
    return model, replace(draft, notes=collect_notes(draft, support, query, len(folds)))


def _about_labels(draft: Evaluation, learner: Learner, support: Task) -> Evaluation:
    """Which labels are disputed, and which scans decide most; by refits where the learner allows them."""
    if not isinstance(learner, Similar) or len(support.scans) > MOST_SCANS:
        return replace(draft, suspects=suspects(draft.cases, draft.classes))
    found = influences(learner.similarities(support), support.targets, support.groups, len(support.classes))
    named = suspects(draft.cases, draft.classes, influences=found)
    return replace(draft, suspects=named, movers=movers(draft.cases, found))


def _folds(support: Task, query: Task | None) -> list[Fold]:
    """Folds to run, none with a query; refuses before any time is spent."""
    if query is not None:
        check_disjoint(support, query)
        return []
    patients = len(set(support.groups))
    if patients < 2:
        raise TaskError(
            "to leave one patient out, scans of at least 2 patients are needed, found 1; add scans of other "
            "patients, give a separate query set, or name the patients in a labels.csv (file,label,group)"
        )
    folds = leave_one_group_out(
        support.groups, support.targets, None if patients <= MAX_SINGLE_FOLDS else SHARED_FOLDS
    )
    if not any(_learnable(support, fold.train) for fold in folds):
        counts = ", ".join(f"{label}: {count}" for label, count in support.groups_per_class().items())
        raise TaskError(
            "whichever patient is left out, the rest no longer has 2 patients and 2 classes to learn from "
            f"(patients per class: {counts}); add a second patient to each class, or give a separate query set"
        )
    return folds


def _learnable(support: Task, positions: Sequence[int]) -> bool:
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
    for number, fold in enumerate(folds, start=1):
        one_by_one = len(folds) == patients
        where = f"Patient {number} of {patients}" if one_by_one else f"Fold {number} of {len(folds)}"
        scans = [support.scans[i] for i in fold.test]
        for index, learner in enumerate(learners):
            who = where if index == 0 else f"{where}, for comparison: {learner.name}"
            progress(done / steps, who)
            if _learnable(support, fold.train):
                # Steps within a fold only ask whether to stop; the sentence stays the same.
                steady = part(_sentence(progress, who), done / steps, (done + 1) / steps)
                model = learner.adapt(support.subset(fold.train), progress=part(steady, 0.0, 0.9))
                prediction = model.predict(scans, progress=part(steady, 0.9, 1.0))
                answers = _spread(prediction, support.classes, len(scans), learner.name)
            else:
                answers = _frequencies(support, fold.train, len(scans))
            for place, case in zip(fold.test, _cases(support, fold.test, answers), strict=True):
                found[index][place] = case
            done += 1
    progress(1.0, f"All {patients} patients predicted")
    return [[cases[i] for i in range(len(support.scans))] for cases in found]


def _on_query(
    learners: Sequence[Learner], model: TaskModel, support: Task, query: Task, progress: Progress
) -> list[list[Case]]:
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


def _figures(
    name: str, tested: Task, support: Task, cases: list[Case], seconds: float, protocol: str
) -> Evaluation:
    classes = support.classes
    confusion = _confusion(cases, classes)
    right = metrics.patients_right(cases, classes)
    scans = Counter(case.group for case in cases)
    scans_right = Counter(case.group for case in cases if case.correct)
    per_class = metrics.class_figures(cases, classes, confusion)
    share = metrics.accuracy(confusion)
    return Evaluation(
        task=support.name,
        learner=name,
        protocol=protocol,
        classes=classes,
        n_support=len(support.scans),
        n_support_groups=len(set(support.groups)),
        n_groups=len(set(tested.groups)),
        seconds=seconds,
        accuracy=share,
        interval=scan_share([scans_right[group] for group in scans], list(scans.values())),
        patients=metrics.count_patients(right),
        balanced_accuracy=metrics.balanced_accuracy(confusion),
        auroc=metrics.mean_auroc(per_class),
        confusion=confusion,
        per_class=per_class,
        cases=tuple(cases),
        comparisons=(),
        notes=(),
        provenance={},
    )


def _confusion(cases: Sequence[Case], classes: tuple[str, ...]) -> metrics.Confusion:
    index = {name: i for i, name in enumerate(classes)}
    return metrics.confusion_matrix(
        [index[case.label] for case in cases], [index[case.predicted] for case in cases], len(classes)
    )


def _compare(name: str, ours: Evaluation, cases: Sequence[Case]) -> Comparison:
    confusion = _confusion(cases, ours.classes)
    mine = metrics.patients_right(ours.cases, ours.classes)
    theirs = metrics.patients_right(cases, ours.classes)
    patients = metrics.count_patients(theirs)
    return Comparison(
        learner=name,
        patients=patients,
        accuracy=metrics.accuracy(confusion),
        balanced_accuracy=metrics.balanced_accuracy(confusion),
        difference=(ours.patients.correct - patients.correct) / patients.n,
        difference_interval=paired_difference(
            sum(mine[group] and not theirs[group] for group in mine),
            sum(theirs[group] and not mine[group] for group in mine),
            len(mine),
        ),
    )
