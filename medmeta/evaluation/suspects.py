"""Labels worth a second look: scans whose label the model disputed when it had not learned from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medmeta.evaluation.cases import margin_of_error
from medmeta.evaluation.influence import Influences
from medmeta.evaluation.result import Case, Mover, Suspect

#: Suspects named to a person.
SUSPECTS = 3
#: Movers named to a person.
MOVERS = 3
#: Refits clear a label only where all readings are more than twenty times as likely with it as with any other.
CLEARED = -math.log(20.0)


def doubts(cases: Sequence[Case], classes: Sequence[str]) -> NDArray[np.float64]:
    """How strongly each scan's label is disputed by a model that had it left out.

    Args:
        cases: n scans, each read by a model adapted without its patient.
        classes: the order of the probabilities.

    Returns:
        ``(n,)`` in [-1, 1]: probability of the best other label minus that of the scan's own. A wrong label stands
        out by being near 1, because the rest of the support speaks against it.

    References:
        Northcutt CG, Jiang L, Chuang IL. Confident learning: estimating uncertainty in dataset labels. Journal of
        Artificial Intelligence Research 2021;70:1373-1411.
    """
    order = tuple(classes)
    return np.array([margin_of_error(case, order) for case in cases], dtype=np.float64)


def suspects(
    cases: Sequence[Case],
    classes: Sequence[str],
    limit: int = SUSPECTS,
    influences: Influences | None = None,
) -> tuple[Suspect, ...]:
    """The scans whose label is most disputed, at most ``limit``, and none that the model confirms.

    A scan whose class had no other patient cannot be confirmed by anybody, so it is no suspect.

    Args:
        cases: the support, each scan read by a model without its patient.
        classes: the order of the probabilities.
        limit: most that are named; a patient's scans of one label are one suspect.
        influences: of the same scans; where given they decide, which finds more wrong labels than the probability of
            the scan alone (`benchmarks.suspects`): a wrong label also spoils the reading of the others. A label is
            then confirmed below :data:`CLEARED`; without refits, where the model finds none more probable.
    """
    doubt = doubts(cases, classes)
    strength, confirmed = (doubt, 0.0) if influences is None else (influences.evidence, CLEARED)
    patients = {name: len({case.group for case in cases if case.label == name}) for name in classes}
    order = sorted(range(len(cases)), key=lambda i: (-strength[i], -doubt[i], cases[i].file))
    found: dict[tuple[str, str], Suspect] = {}
    for i in order:
        case = cases[i]
        if strength[i] <= confirmed or patients[case.label] < 2 or (case.group, case.label) in found:
            continue
        if influences is None:
            suggested, lead = int(np.argmax(case.probabilities)), float(doubt[i])
        else:
            suggested = int(influences.suggested[i])
            lead = case.probabilities[suggested] - case.probabilities[list(classes).index(case.label)]
        found[case.group, case.label] = Suspect(
            file=case.file,
            scan_id=case.scan_id,
            group=case.group,
            label=case.label,
            suggested=classes[suggested],
            doubt=lead,
            evidence=None if influences is None else float(influences.evidence[i]),
        )
    return tuple(found.values())[:limit]


def movers(cases: Sequence[Case], influences: Influences, limit: int = MOVERS) -> tuple[Mover, ...]:
    """The scans whose patients change the reading of the others most, one a patient and label."""
    usual = float(np.median(influences.moved))
    order = sorted(range(len(cases)), key=lambda i: (-influences.moved[i], cases[i].file))
    found: dict[tuple[str, str], Mover] = {}
    for i in order:
        case = cases[i]
        if influences.moved[i] > 0:
            mover = Mover(case.file, case.scan_id, case.group, case.label, float(influences.moved[i]), usual)
            found.setdefault((case.group, case.label), mover)
    return tuple(found.values())[:limit]
