"""Which kind of task comes next: uniformly, from easy to hard, or where adaptation is hardest.

A sampler gives each `Cell` (a set and a number of ways) its probability; the builder makes the draw with the
task's own generator, so a sampler holds no chance of its own and its state is a few numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medmeta.errors import TaskError
from medmeta.tasks.meta_task import MetaTask

#: Difficulty of a cell nothing was reported of: its answers are chance.
CHANCE = 1.0
#: A task that went astray counts as twice chance at most, so that none takes over the averages.
MOST = 2.0


@dataclass(frozen=True, order=True)
class Cell:
    """Tasks of one set with one number of ways."""

    source: str
    ways: int


class Sampler(Protocol):
    """Says how likely each cell is for a task, and learns from how hard finished tasks were."""

    @property
    def name(self) -> str: ...

    def probabilities(self, cells: Sequence[Cell], number: int) -> NDArray[np.float64]:
        """Probability of each cell for task ``number`` (counted from 0 over all epochs); they sum to 1."""
        ...

    def report(self, task: MetaTask, difficulty: float) -> None:
        """Take in a finished task's `difficulty`. With several processes every one must report the same tasks.

        Raises:
            TaskError: the difficulty is negative or no number.
        """
        ...

    def state(self) -> dict[str, Any]:
        """All that was learned, as plain JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        ...


def difficulty(query_loss: float, ways: int) -> float:
    """Query cross entropy relative to chance, ``query_loss / ln(ways)``: 0 is solved, 1 is guessing."""
    return query_loss / math.log(ways)


def even(cells: Sequence[Cell]) -> NDArray[np.float64]:
    """Every set equally likely, and every number of ways within its set."""
    counts = Counter(cell.source for cell in cells)
    return np.array([1.0 / (len(counts) * counts[cell.source]) for cell in cells])


@dataclass
class Averages:
    """Exponential average of the difficulty reported of each cell, beginning at chance."""

    rate: float
    values: dict[Cell, float] = field(default_factory=dict)

    def of(self, cells: Sequence[Cell]) -> NDArray[np.float64]:
        return np.array([self.values.get(cell, CHANCE) for cell in cells])

    def report(self, task: MetaTask, value: float) -> None:
        if not (math.isfinite(value) and value >= 0.0):
            raise TaskError(f"a task's difficulty must be a number from 0, found {value}")
        cell = Cell(task.source, len(task.classes))
        before = self.values.get(cell, CHANCE)
        self.values[cell] = before + self.rate * (min(value, MOST) - before)

    def state(self) -> dict[str, Any]:
        return {"averages": [[cell.source, cell.ways, self.values[cell]] for cell in sorted(self.values)]}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.values = {Cell(str(s), int(w)): float(v) for s, w, v in state["averages"]}


class Uniform:
    """Every set is equally likely, and every number of ways within it."""

    name = "uniform"

    def probabilities(self, cells: Sequence[Cell], number: int) -> NDArray[np.float64]:
        return even(cells)

    def report(self, task: MetaTask, difficulty: float) -> None:
        """Take no notice."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """There is nothing to restore."""


class Curriculum:
    """From easy to hard (Bengio et al. 2009, doi:10.1145/1553374.1553380).

    Cells stand in the order of their expected query loss: averaged difficulty times ``ln(ways)``. What nothing was
    reported of counts as chance, so few ways come first and then what proves easy. The easiest share of them is
    open, and the share grows linearly from ``start`` to all of them over the first ``tasks`` tasks; among the open
    cells sets are equally likely.

    Args:
        tasks: how many tasks until every cell is open.
        start: share of the cells open at first, in (0, 1].
        rate: weight of a new report in the average, in (0, 1].
    """

    name = "curriculum"

    def __init__(self, tasks: int = 1000, start: float = 0.25, rate: float = 0.1) -> None:
        if tasks < 1 or not 0.0 < start <= 1.0 or not 0.0 < rate <= 1.0:
            raise TaskError(
                f"a curriculum takes at least 1 task, and a start and a rate above 0 and at most 1, found {tasks}, "
                f"{start} and {rate}"
            )
        self.tasks, self.start = tasks, start
        self._averages = Averages(rate)

    def probabilities(self, cells: Sequence[Cell], number: int) -> NDArray[np.float64]:
        share = self.start + (1.0 - self.start) * min(1.0, number / self.tasks)
        losses = self._averages.of(cells) * np.log([cell.ways for cell in cells])
        order = sorted(range(len(cells)), key=lambda i: (losses[i], cells[i]))
        opened = sorted(order[: math.ceil(share * len(cells) - 1e-9)])
        result = np.zeros(len(cells))
        result[opened] = even([cells[i] for i in opened])
        return result

    def report(self, task: MetaTask, difficulty: float) -> None:
        self._averages.report(task, difficulty)

    def state(self) -> dict[str, Any]:
        return self._averages.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._averages.restore(state)


class DifficultyAdaptive:
    """Where adaptation is hardest, there most tasks: the probability of a cell follows its averaged difficulty.

    ``p = floor * u + (1 - floor) * u * d / sum(u * d)`` with ``u`` the uniform sampler's probability and ``d`` the
    average; so no cell falls below ``floor`` of what it gets uniformly.

    Args:
        floor: in (0, 1].
        rate: weight of a new report in the average, in (0, 1].
    """

    name = "difficulty"

    def __init__(self, floor: float = 0.2, rate: float = 0.1) -> None:
        if not 0.0 < floor <= 1.0 or not 0.0 < rate <= 1.0:
            raise TaskError(f"floor and rate must be above 0 and at most 1, found {floor} and {rate}")
        self.floor = floor
        self._averages = Averages(rate)

    def probabilities(self, cells: Sequence[Cell], number: int) -> NDArray[np.float64]:
        uniform = even(cells)
        hard = uniform * self._averages.of(cells)
        if not hard.sum() > 0.0:
            return uniform
        mixed: NDArray[np.float64] = self.floor * uniform + (1.0 - self.floor) * hard / hard.sum()
        return mixed

    def report(self, task: MetaTask, difficulty: float) -> None:
        self._averages.report(task, difficulty)

    def state(self) -> dict[str, Any]:
        return self._averages.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._averages.restore(state)


def make_sampler(name: str) -> Sampler:
    """A sampler with its defaults: ``uniform``, ``curriculum`` or ``difficulty``.

    Raises:
        TaskError: no such sampler.
    """
    samplers: dict[str, type[Uniform] | type[Curriculum] | type[DifficultyAdaptive]] = {
        each.name: each for each in (Uniform, Curriculum, DifficultyAdaptive)
    }
    if name not in samplers:
        raise TaskError(f"there is no sampler {name!r}; there are: {', '.join(samplers)}")
    return samplers[name]()
