"""Sets of labels in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from medmeta.evaluation.conformal import ConformalRule, patients_needed
from medmeta.evaluation.notes import quoted
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, Evaluation
from medmeta.reports.words import percent

SETS_HELP = (
    "Conformal prediction. Instead of one label a scan gets every label that cannot be ruled out at the promised rate. "
    "It holds for new patients who come from the same place, from the same devices and with the same mix of findings."
)


def no_sets_words(n_patients: int) -> str:
    """Why there are none."""
    return (
        f"Not given: a promise of 9 in 10 needs at least {patients_needed()} patients the model had not adapted on, "
        f"found {n_patients}."
    )


def rule_words(rule: ConformalRule, evaluation: Evaluation) -> tuple[str, ...]:
    """What is promised, for whom, and what the sets of the tested patients look like."""
    whom = "of every class" if rule.by_class else "of all classes together"
    sizes = Counter(len(rule.labels(case.probabilities, evaluation.classes)) for case in evaluation.cases)
    several = sum(number for size, number in sizes.items() if size > 1)
    told = [
        f"Of 10 new patients {whom}, about 9 have the right label in their set.",
        f"Of the {len(evaluation.cases)} scans tested, {sizes[1]} have a set of one label, {several} of several"
        + (f", and {sizes[0]} of none: unlike all that was seen." if sizes[0] else "."),
    ]
    if not rule.by_class:
        told.append(
            f"For each class by itself the promise would need {patients_needed()} patients of each; as it stands, a "
            "rare class may be missed more often."
        )
    if evaluation.protocol == LEAVE_ONE_GROUP_OUT:
        told.append(
            "The patients behind it were left out one by one, so the rate is about, and not exactly, "
            f"{percent(rule.level)}."
        )
    return tuple(told)


def set_words(labels: Sequence[str], rule: ConformalRule) -> str:
    """The set of one scan."""
    if not labels:
        return f"No label reaches the rate of {percent(rule.level)}: the scan is unlike those tested."
    return f"{percent(rule.level)} set: {', '.join(quoted(label) for label in labels)}"
