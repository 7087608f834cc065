"""Two trainings in a race: what the one spent to reach what the other reached at best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medmeta.errors import TaskError
from medmeta.evaluation.paired import t_interval
from medmeta.training.claims.claim import ClaimResult

#: Accuracies are means over the same tasks; equal ones may differ by rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Curve:
    """A training's left-out accuracy against what it had cost (seconds, or outer steps) by then.

    ``costs[0]`` and ``accuracies[0]`` are before any step.
    """

    costs: tuple[float, ...]
    accuracies: tuple[float, ...]

    @classmethod
    def of(
        cls, history: Sequence[Mapping[str, Any]], cost: str, *, start: float, built: float = 0.0
    ) -> Curve:
        """From a training's history.

        Args:
            history: a row an epoch, with ``validation_accuracy`` and ``cost``.
            cost: ``"seconds"`` or ``"step"``.
            start: accuracy before any step.
            built: what was spent before the first step.
        """
        return cls(
            (built, *(built + float(row[cost]) for row in history)),
            (start, *(float(row["validation_accuracy"]) for row in history)),
        )

    @property
    def best(self) -> tuple[float, float]:
        """Cost and accuracy of the best epoch, the earliest of equals; the start is none."""
        highest = max(self.accuracies[1:])
        position = self.accuracies.index(highest, 1)
        return self.costs[position], highest

    def first(self, accuracy: float) -> float | None:
        """What it had cost when it first reached an accuracy; None where it never did."""
        reached = (c for c, a in zip(self.costs, self.accuracies, strict=True) if a >= accuracy - ROUNDING)
        return next(reached, None)

    @property
    def trained(self) -> Curve:
        """The curve without its start: cost and accuracy of an untrained model do not count as reached."""
        return Curve((self.costs[0], *self.costs[1:]), (-1.0, *self.accuracies[1:]))


@dataclass(frozen=True)
class Race:
    """What both spent.

    Attributes:
        goal: the reference's best accuracy.
        reference: its cost at that.
        challenger: the other's cost when it first reached the goal; None where it never did.
        starts: accuracies of reference and challenger before any step.
        bests: their best ones.
    """

    goal: float
    reference: float
    challenger: float | None
    starts: tuple[float, float]
    bests: tuple[float, float]

    @property
    def gained(self) -> bool:
        """Training raised the reference above its start; if not, its time to its best says nothing."""
        return self.goal > self.starts[0] + ROUNDING

    @property
    def share(self) -> float | None:
        """The challenger's cost over the reference's."""
        return None if self.challenger is None else self.challenger / self.reference


def race(reference: Curve, challenger: Curve, *, start_counts: bool) -> Race:
    """Let ``challenger`` race to the best accuracy of ``reference``.

    Args:
        start_counts: a challenger that is that good before any step has reached it then.
    """
    cost, goal = reference.best
    runner = challenger if start_counts else challenger.trained
    return Race(
        goal,
        cost,
        runner.first(goal),
        (reference.accuracies[0], challenger.accuracies[0]),
        (goal, challenger.best[1]),
    )


def saving(races: Mapping[str, Race], target: float, unit: str, of: str, how: str) -> ClaimResult:
    """The mean saving over races, in percent of the reference's cost; what could not be raced or was lost is told.

    Args:
        races: by what tells them apart.
        target: percent to save.
        unit: what is saved, for example ``"less time"``.
        of: what a race is one of.
        how: see `ClaimResult`.

    Raises:
        TaskError: training raised the reference above its start in none of them.
    """
    run = [each for each in races.values() if each.gained]
    if not run:
        found = "; ".join(
            f"{name}: {each.starts[0]:.3f} before and {each.goal:.3f} at best after training, the challenger "
            f"{each.starts[1]:.3f} and {each.bests[1]:.3f}"
            for name, each in races.items()
        )
        raise TaskError(
            f"training did not raise the reference above its start, so nothing can be raced to ({found})"
        )
    saved = [100.0 * (1.0 - each.share) for each in run if each.share is not None]
    missed, idle = len(run) - len(saved), len(races) - len(run)
    value = sum(saved) / len(saved) if saved else None
    words = "the accuracy was not reached" if value is None else f"{value:.0f} % {unit}"
    if saved and missed:
        words += f"; the accuracy was not reached in {missed} of {len(run)}"
    if idle:
        words += f"; left out are {idle} in which training did not raise the reference above its start"
    return ClaimResult(
        reached=words,
        met=not missed and value is not None and value >= target,
        value=value,
        interval=t_interval(saved) if len(saved) > 1 else None,
        n=len(run),
        of=of,
        how=how,
        details={
            name: {
                "goal_accuracy": each.goal,
                "reference": each.reference,
                "challenger": each.challenger,
                "share": each.share,
                "start_accuracies": list(each.starts),
                "best_accuracies": list(each.bests),
            }
            for name, each in races.items()
        },
    )
