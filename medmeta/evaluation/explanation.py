"""What an explanation of one answer is; computing it is `medmeta.evaluation.explain`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Share of the heat that may be missing from the sum.
MOST_MISSING = 0.15


@dataclass(frozen=True, eq=False)
class Explanation:
    """What each place of a scan adds to the lead of one class over another.

    Attributes:
        towards, against: the two classes.
        heat: ``(s, s)`` float64 over the whole central frame, brought to a square: log-odds that each place adds to
            the lead; negative where it speaks for the other class. It sums to about ``lead - start``.
        lead: log-probability of ``towards`` minus that of ``against``, for the scan.
        start: the same for the scan without structure.
    """

    towards: str
    against: str
    heat: NDArray[np.float64]
    lead: float
    start: float

    @property
    def adds_up(self) -> bool:
        """Whether what the heat does not account for is small beside all that it holds; if not, do not show it."""
        missing = abs(float(self.heat.sum()) - (self.lead - self.start))
        return missing <= MOST_MISSING * float(np.abs(self.heat).sum())

    @property
    def left_over(self) -> float:
        """Share of ``lead - start`` that the heat does not account for: the integration's error."""
        whole = self.lead - self.start
        return abs(float(self.heat.sum()) - whole) / max(abs(whole), 1e-9)
