"""Figures of a set of predictions; each is None where it does not exist, never a guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from medmeta.evaluation import agreement
from medmeta.evaluation.intervals import clopper_pearson, clustered_accuracy
from medmeta.evaluation.result import Case, ClassFigures, PatientCount

#: ``confusion[i][j]``: scans of class i predicted as class j.
Confusion = tuple[tuple[int, ...], ...]


def confusion_matrix(truth: Sequence[int], predicted: Sequence[int], n_classes: int) -> Confusion:
    """Count scans of class i (row) predicted as class j (column)."""
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    for i, j in zip(truth, predicted, strict=True):
        counts[i, j] += 1
    return tuple(tuple(int(value) for value in row) for row in counts)


def confusion_of(cases: Sequence[Case], classes: Sequence[str]) -> Confusion:
    """Scans of each label (row) by what was predicted (column)."""
    index = {name: i for i, name in enumerate(classes)}
    return confusion_matrix(
        [index[case.label] for case in cases], [index[case.predicted] for case in cases], len(classes)
    )


def accuracy(confusion: Confusion) -> float:
    """Share of scans predicted right.

    Raises:
        ValueError: there is no scan.
    """
    total = sum(map(sum, confusion))
    if total == 0:
        raise ValueError("accuracy needs at least one predicted scan, found none")
    return sum(confusion[i][i] for i in range(len(confusion))) / total


def sensitivity(confusion: Confusion, index: int) -> float | None:
    """Share of the class's scans that were found; None when it has no scan."""
    row = sum(confusion[index])
    return confusion[index][index] / row if row else None


def specificity(confusion: Confusion, index: int) -> float | None:
    """Share of the other classes' scans not taken for this class; None when there is no other scan."""
    others = [row for i, row in enumerate(confusion) if i != index]
    total = sum(map(sum, others))
    return (total - sum(row[index] for row in others)) / total if total else None


def balanced_accuracy(confusion: Confusion) -> float:
    """Mean sensitivity over the classes that occur.

    Raises:
        ValueError: there is no scan.
    """
    if not any(map(sum, confusion)):
        raise ValueError("balanced accuracy needs at least one predicted scan, found none")
    return float(agreement.balanced_accuracy(confusion))


def auroc(is_class: Sequence[bool], score: Sequence[float]) -> float | None:
    """Area under the one-vs-rest ROC curve; None unless both sides have a scan."""
    if all(is_class) or not any(is_class):
        return None
    return float(roc_auc_score(np.asarray(is_class, dtype=bool), np.asarray(score, dtype=np.float64)))


def patients_right(cases: Sequence[Case], classes: Sequence[str]) -> dict[str, bool]:
    """Whether each group (patient) is right, counted once however many scans it has.

    A patient's scans of one label are read together: right when that label has the highest mean
    probability. A tie is no answer, and wrong. A patient with scans of several labels is right only
    when each of them is.
    """
    position = {name: i for i, name in enumerate(classes)}
    together: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        together[case.group, case.label].append(case)
    right: dict[str, bool] = {}
    for (group, label), members in together.items():
        if len(members) == 1:
            hit = members[0].correct
        else:
            mean = np.mean([member.probabilities for member in members], axis=0)
            hit = _strictly_highest(mean, position[label])
        right[group] = right.get(group, True) and hit
    return right


def count_patients(right: dict[str, bool]) -> PatientCount:
    """ "k of n patients" with the exact 95 % interval."""
    correct = sum(right.values())
    return PatientCount(correct, len(right), clopper_pearson(correct, len(right)))


def class_figures(
    cases: Sequence[Case], classes: Sequence[str], confusion: Confusion
) -> tuple[ClassFigures, ...]:
    """Each class against the rest; intervals count the patients behind a figure, not their scans."""
    figures = []
    for i, name in enumerate(classes):
        found, spared = sensitivity(confusion, i), specificity(confusion, i)
        own = {case.group for case in cases if case.label == name}
        others = {case.group for case in cases if case.label != name}
        figures.append(
            ClassFigures(
                label=name,
                n_scans=sum(confusion[i]),
                n_groups=len(own),
                sensitivity=found,
                sensitivity_interval=None if found is None else clustered_accuracy(found, len(own)),
                specificity=spared,
                specificity_interval=None if spared is None else clustered_accuracy(spared, len(others)),
                auroc=auroc(
                    [case.label == name for case in cases], [case.probabilities[i] for case in cases]
                ),
            )
        )
    return tuple(figures)


def mean_auroc(figures: Sequence[ClassFigures]) -> float | None:
    """Plain mean of the classes' AUROC, over those where it exists."""
    known = [figure.auroc for figure in figures if figure.auroc is not None]
    return sum(known) / len(known) if known else None


def _strictly_highest(values: NDArray[np.float64], index: int) -> bool:
    rest = np.delete(values, index)
    return bool(np.all(values[index] > rest + 1e-12))
