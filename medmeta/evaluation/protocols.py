"""How a learner is measured: never on a patient it adapted on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from medmeta.errors import TaskError
from medmeta.evaluation import metrics
from medmeta.evaluation.further import further_figures, reliability_points
from medmeta.evaluation.influence import MOST_SCANS, Similar, influences
from medmeta.evaluation.intervals import paired_difference, scan_share
from medmeta.evaluation.leakage import find_leaks
from medmeta.evaluation.learning_curve import learning_curve
from medmeta.evaluation.left_out import learnable, leave_out, on_query
from medmeta.evaluation.notes import collect_notes
from medmeta.evaluation.provenance import provenance
from medmeta.evaluation.repeated_folds import repeated_folds
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, QUERY_SET, Case, Comparison, Evaluation
from medmeta.evaluation.scan_map import scan_map
from medmeta.evaluation.suspects import movers, suspects
from medmeta.learners.base import Learner, TaskModel
from medmeta.learners.frozen import FrozenTaskModel
from medmeta.progress import Progress, part, silent
from medmeta.tasks.splits import Fold, leave_one_group_out
from medmeta.tasks.task import Task, check_disjoint

#: Up to this many patients are left out one by one; more share :data:`SHARED_FOLDS` folds.
MAX_SINGLE_FOLDS = 200
SHARED_FOLDS = 20


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
        TaskError: support and query overlap, too few patients to leave one out, or a negative seed.
        ModelError: a learner broke the contract of `Prediction`.
        CancelledError: ``progress`` asked to stop.
    """
    if seed < 0:
        raise TaskError(f"a seed is a whole number of at least 0, found {seed}")
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
        all_cases = on_query(learners, model, support, query, rest)
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
        curve = learning_curve(learner, support, query, seed=seed, progress=part(progress, 0.75, 0.9))
        draft = replace(draft, curve=curve)
        if query is None:
            again = repeated_folds(learner, support, seed=seed, progress=part(progress, 0.9, 1.0))
            draft = replace(draft, repeated=again)
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
    if not any(learnable(support, fold.train) for fold in folds):
        counts = ", ".join(f"{label}: {count}" for label, count in support.groups_per_class().items())
        raise TaskError(
            "whichever patient is left out, the rest no longer has 2 patients and 2 classes to learn from "
            f"(patients per class: {counts}); add a second patient to each class, or give a separate query set"
        )
    return folds


def _figures(
    name: str, tested: Task, support: Task, cases: list[Case], seconds: float, protocol: str
) -> Evaluation:
    classes = support.classes
    confusion = metrics.confusion_of(cases, classes)
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


def _compare(name: str, ours: Evaluation, cases: Sequence[Case]) -> Comparison:
    confusion = metrics.confusion_of(cases, ours.classes)
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
