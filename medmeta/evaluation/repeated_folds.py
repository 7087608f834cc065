"""Does it depend on whom it learned from? The patients divided into folds anew, again and again."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from medmeta.evaluation import metrics
from medmeta.evaluation.intervals import clustered_accuracy
from medmeta.evaluation.left_out import leave_out
from medmeta.evaluation.result import PatientRepeats, RepeatedFolds
from medmeta.learners.base import Learner
from medmeta.progress import Progress, silent
from medmeta.tasks.splits import Fold
from medmeta.tasks.task import Task

#: Folds of each division, or as many as the smallest class has patients.
FOLDS = 5
#: Patients each class needs, so that two are left to learn from.
FEWEST = 3
#: Divisions, fewer beyond so many scans, where each takes longer, but never below the least.
REPEATS, SCANS, LEAST_REPEATS = 10, 150, 3


def why_no_repeats(patients: Sequence[int]) -> str | None:
    """Why classes of so many patients cannot be divided, or None where they can."""
    if min(patients) >= FEWEST:
        return None
    return f"needs {FEWEST} patients of each class, found {min(patients)} of one"


def divide(support: Task, folds: int, seed: int) -> list[Fold]:
    """One division of the patients into folds that each have about the same share of every class.

    Args:
        folds: at most the patients of the smallest class.
        seed: of the order of the patients.
    """
    # Imported here: the pages, which only ask `why_no_repeats`, open without it.
    from sklearn.model_selection import StratifiedGroupKFold

    # By number: what patients are called must not decide how they are divided.
    numbers = {group: number for number, group in enumerate(dict.fromkeys(support.groups))}
    codes = [numbers[group] for group in support.groups]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # It counts scans, and warns where a class has fewer than folds; here every class has patients enough.
        warnings.simplefilter("ignore", UserWarning)
        parts = list(splitter.split(np.zeros(len(support.scans)), support.targets, codes))
    return [Fold(tuple(train.tolist()), tuple(test.tolist())) for train, test in parts if len(test)]


def repeated_folds(
    learner: Learner, support: Task, *, seed: int = 0, progress: Progress = silent
) -> RepeatedFolds | None:
    """Each patient read once a division by a model adapted to the other folds.

    Args:
        learner: adapts in well under a second once it knows the scans.
        support: labelled scans; a patient's are never divided.
        seed: of every division.
        progress: may raise to cancel.

    Returns:
        None with too few patients of a class (`why_no_repeats`).

    Raises:
        CancelledError: ``progress`` asked to stop.

    References:
        Kim JH. Estimating classification error rate: repeated cross-validation, repeated hold-out and bootstrap.
        Computational Statistics & Data Analysis 2009;53:3735-3745.
    """
    patients = list(support.groups_per_class().values())
    if why_no_repeats(patients) is not None:
        return None
    folds = min(FOLDS, *patients)
    repeats = min(max(REPEATS * SCANS // max(len(support.scans), SCANS), LEAST_REPEATS), REPEATS)
    seeds = np.random.default_rng(seed).integers(2**31, size=repeats)
    counts, balanced, hits = [], [], Counter[str]()
    for number, drawn in enumerate(seeds):

        def told(fraction: float, _: str, number: int = number) -> None:
            progress((number + fraction) / repeats, f"Dividing the patients anew: {number + 1} of {repeats}")

        cases = leave_out([learner], support, divide(support, folds, int(drawn)), told)[0]
        right = metrics.patients_right(cases, support.classes)
        counts.append(sum(right.values()))
        hits.update(group for group, hit in right.items() if hit)
        balanced.append(metrics.balanced_accuracy(metrics.confusion_of(cases, support.classes)))
    labels = dict(zip(support.groups, support.labels, strict=True))
    n = len(labels)
    share = sum(counts) / (repeats * n)
    return RepeatedFolds(
        folds=folds,
        right=tuple(counts),
        share=share,
        interval=clustered_accuracy(share, n),
        balanced_accuracy=float(np.mean(balanced)),
        patients=tuple(
            PatientRepeats(group, label, hits[group])
            for group, label in sorted(labels.items(), key=lambda item: (-hits[item[0]], item[1]))
        ),
    )
