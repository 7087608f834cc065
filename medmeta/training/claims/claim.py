"""`Claim`: one row of the table of claims, and `ClaimResult`, what a run reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmeta.evaluation.paired import t_interval, two_level_interval
from medmeta.evaluation.result import Interval
from medmeta.training.claims.ground import Ground


@dataclass(frozen=True)
class ClaimResult:
    """What was reached.

    Attributes:
        reached: in words, with its unit.
        met: the target was reached or beaten.
        value: the number behind ``reached``, in the target's unit; None where there is none.
        interval: 95 % interval of ``value``; None where there is too little to tell.
        n, of: how many of what ``value`` was taken over.
        how: how it was measured, in a sentence or two.
        details: the numbers behind it, plain JSON.
    """

    reached: str
    met: bool
    value: float | None
    interval: Interval | None
    n: int
    of: str
    how: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        name: what ``--rows`` calls it.
        text: the claim, as people read it.
        target: the figure to reach.
        measure: takes the figure; raises a `MedMetaError` that says why where it cannot be taken.
        learners: registry names whose shipped weights the figure depends on.
    """

    name: str
    text: str
    target: str
    measure: Callable[[Ground], ClaimResult]
    learners: tuple[str, ...] = ()


def over_sets(values: Sequence[NDArray[np.float64]], seed: int) -> Interval | None:
    """Interval of the mean over data sets of their episodes' means.

    It resamples data sets and episodes where there are two sets or more; for a single one it is Student's over its
    episodes.
    """
    return t_interval(values[0]) if len(values) == 1 else two_level_interval(values, seed=seed)
