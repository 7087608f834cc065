"""How the tables of the benchmarks write a share: counts, and their exact interval."""

from __future__ import annotations

from collections.abc import Sequence

from medmeta.evaluation.intervals import clopper_pearson


def share(answers: Sequence[bool]) -> str:
    """``"77 of 80 (89.4 to 99.2 %)"``, with the exact 95 % interval; a dash where nothing was asked."""
    hits, n = sum(answers), len(answers)
    if not n:
        return "–"
    interval = clopper_pearson(hits, n)
    return f"{hits} of {n} ({100 * interval.low:.1f} to {100 * interval.high:.1f} %)"
