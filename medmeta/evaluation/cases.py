"""Ways to look through the cases of an `Evaluation`: the worst mistakes, the commonest answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from medmeta.evaluation.result import Case, Evaluation


def label_probability(case: Case, classes: tuple[str, ...]) -> float:
    """The probability the model gave to the scan's true label."""
    return case.probabilities[classes.index(case.label)]


def margin_of_error(case: Case, classes: tuple[str, ...]) -> float:
    """How strongly the model preferred another label to the true one, in [-1, 1].

    Probability of the best other label minus that of the true label: near 1 is a confident mistake,
    negative is a right answer.
    """
    true = classes.index(case.label)
    others = [p for i, p in enumerate(case.probabilities) if i != true]
    return max(others, default=0.0) - case.probabilities[true]


def sorted_by_worst(evaluation: Evaluation) -> tuple[Case, ...]:
    """All cases, the most confident mistake first, the most confident right answer last."""
    return tuple(
        sorted(
            evaluation.cases,
            key=lambda case: (case.correct, -margin_of_error(case, evaluation.classes), case.file),
        )
    )


def worst_mistakes(evaluation: Evaluation, limit: int = 6) -> tuple[Case, ...]:
    """The most confident wrong answers, at most ``limit`` of them."""
    return tuple(case for case in sorted_by_worst(evaluation) if not case.correct)[:limit]


def commonest_answer(cases: Sequence[Case], classes: Sequence[str]) -> tuple[str, int]:
    """The label that is right for most patients when always given, and for how many.

    A patient with scans of several labels is right under no single answer. The first of equals is named.
    """
    labels_of: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        labels_of[case.group].add(case.label)
    counts = Counter(next(iter(labels)) for labels in labels_of.values() if len(labels) == 1)
    return max(((name, counts[name]) for name in classes), key=lambda item: item[1])
