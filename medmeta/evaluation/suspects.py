"""Labels worth a second look: scans whose label the model disputed when it had not learned from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medmeta.evaluation.cases import margin_of_error
from medmeta.evaluation.result import Case, Suspect

#: Suspects named to a person.
SUSPECTS = 3


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


def suspects(cases: Sequence[Case], classes: Sequence[str], limit: int = SUSPECTS) -> tuple[Suspect, ...]:
    """The scans whose label is most disputed, at most ``limit``, and none that the model rather confirms.

    A scan whose class had no other patient cannot be confirmed by anybody, so it is no suspect.
    """
    doubt = doubts(cases, classes)
    patients = {name: len({case.group for case in cases if case.label == name}) for name in classes}
    order = sorted(range(len(cases)), key=lambda i: (-doubt[i], cases[i].file))
    return tuple(
        Suspect(
            file=cases[i].file,
            scan_id=cases[i].scan_id,
            group=cases[i].group,
            label=cases[i].label,
            suggested=classes[int(np.argmax(cases[i].probabilities))],
            doubt=float(doubt[i]),
        )
        for i in order
        if doubt[i] > 0 and patients[cases[i].label] > 1
    )[:limit]
