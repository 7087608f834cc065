"""Lung cancer subtypes from five tiles a class."""

from __future__ import annotations

from medmeta.evaluation.paired import normal_interval
from medmeta.evaluation.result import Interval
from medmeta.training.claims.claim import Claim, ClaimResult
from medmeta.training.claims.few_shot import few_shot
from medmeta.training.claims.ground import Ground

TARGET = 91.3
DATA = "lc25000_lung"


def measure(ground: Ground) -> ClaimResult:
    found = few_shot(ground, "medmeta")
    name = DATA if DATA in found else next(iter(found))
    rows = 100 * found[name]
    value, interval = float(rows.mean()), normal_interval(rows)
    other = "" if name == DATA else f"; {DATA} was not among the test sets"
    return ClaimResult(
        reached=f"{value:.1f} %",
        met=value >= TARGET,
        value=value,
        interval=None if interval is None else Interval(interval.low, interval.high),
        n=len(rows),
        of="episodes",
        how=f"{ground.sizes.shots} shots, all classes of {name}, patients (tile groups) never divided, "
        f"{ground.sizes.queries} queries a class; interval over episodes{other}",
        details={"data": name},
    )


CLAIM = Claim("lung", "lung cancer subtypes, 5-shot accuracy", "91.3 %", measure, ("medmeta",))
