"""`TaskDistributionBuilder`: meta-training tasks in a stream, the same when resumed and on many processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from medmeta.errors import TaskError
from medmeta.tasks.draws import SetIndex
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import MetaTask
from medmeta.tasks.param_space import parse_param_space, shots_per_class
from medmeta.tasks.samplers import Cell, Sampler, make_sampler
from medmeta.tasks.sources import open_set

Base = str | Path | LabelledSet


class TaskDistributionBuilder:
    """Draws meta-training tasks: a sampler picks set and ways, the parameter space the rest.

    Task number t comes from a generator of its own, seeded with ``(seed, t)``; so a task depends on its number
    alone (and, for samplers that learn, on what was reported before its batch).

    Args:
        base_dataset: a path or registered name (see `medmeta.tasks.sources.open_set`), a `LabelledSet`, or a list
            of them.
        param_space: what tasks choose from, for example ``{'num_classes': [2, 5, 10], 'class_balance': [0.7, 0.9],
            'domain_shift': ['blood', 'mri', 'xray']}``; see `medmeta.tasks.param_space.ParamSpace`.
            ``domain_shift`` names domains of the base data.
        num_tasks_per_epoch: tasks in one epoch.
        shots: support items of the largest class, where the parameter space names none.
        queries: query items a class, at most; the query is balanced.
        sampler: ``"uniform"``, ``"curriculum"``, ``"difficulty"``, or a `Sampler`.
        seed: of all draws.
        tasks_per_batch: tasks in one batch; the last batch of an epoch may hold fewer.

    Attributes:
        sets: the sets drawn from, by name; a `MetaTask`'s positions point into ``sets[task.source].items``.
        cells: what the sampler chooses from.

    Raises:
        TaskError: a value out of range, an unknown domain, two sets of one name, or a class with too few groups.
        ModelError: a registered set cannot be fetched.
    """

    def __init__(
        self,
        base_dataset: Base | Sequence[Base],
        param_space: Mapping[str, Any],
        num_tasks_per_epoch: int,
        *,
        shots: int = 5,
        queries: int = 15,
        sampler: str | Sampler = "uniform",
        seed: int = 0,
        tasks_per_batch: int = 4,
    ) -> None:
        if min(num_tasks_per_epoch, queries, tasks_per_batch) < 1 or seed < 0:
            raise TaskError(
                "an epoch, a query and a batch need at least 1, and a seed is not negative; found "
                f"{num_tasks_per_epoch} tasks an epoch, {queries} queries, {tasks_per_batch} tasks a batch, seed {seed}"
            )
        self._space = parse_param_space(param_space, shots=shots)
        self.sets = MappingProxyType(_chosen(_opened(base_dataset), self._space.domain_shift))
        self._indices = {name: SetIndex(data) for name, data in self.sets.items()}
        for index in self._indices.values():
            index.check(max(self._space.shots))
        self.cells = tuple(
            Cell(name, ways)
            for name, data in self.sets.items()
            for ways in self._space.ways_of(len(data.classes))
        )
        self.sampler = make_sampler(sampler) if isinstance(sampler, str) else sampler
        self.num_tasks_per_epoch = num_tasks_per_epoch
        self.tasks_per_batch = tasks_per_batch
        self._queries = queries
        self._seed = seed
        self._next = 0

    @property
    def epoch(self) -> int:
        """The epoch, from 0, of the next task."""
        return self._next // self.num_tasks_per_epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to the first task of an epoch."""
        if epoch < 0:
            raise TaskError(f"epochs are counted from 0, found {epoch}")
        self._next = epoch * self.num_tasks_per_epoch

    def generate_batch(self, rank: int = 0, world: int = 1) -> tuple[MetaTask, ...]:
        """The next batch, or this process's share of it.

        Every process calls this as often as the others; together they draw what one process would, process r
        having tasks r, r + world, ... of the batch. A batch never reaches into the next epoch, so the last one of
        an epoch may leave a process without a task.

        Args:
            rank: this process, from 0.
            world: number of processes, ``tasks_per_batch`` at most.

        Raises:
            TaskError: no such rank, or more processes than tasks in a batch.
        """
        if not 0 <= rank < world <= self.tasks_per_batch:
            raise TaskError(
                f"rank {rank} of {world} processes cannot share batches of {self.tasks_per_batch} tasks; ranks count "
                "from 0, and a batch needs a task for each process"
            )
        stop = min(self._next + self.tasks_per_batch, (self.epoch + 1) * self.num_tasks_per_epoch)
        tasks = tuple(self._draw(number) for number in range(self._next + rank, stop, world))
        self._next = stop
        return tasks

    def batches(self, rank: int = 0, world: int = 1) -> Iterator[tuple[MetaTask, ...]]:
        """Batches to the end of the present epoch; see :meth:`generate_batch`."""
        epoch = self.epoch
        while self.epoch == epoch:
            yield self.generate_batch(rank, world)

    def state(self) -> dict[str, Any]:
        """Where the stream stands and what the sampler learned, as plain JSON."""
        return {"setup": self._setup(), "task": self._next, "sampler": self.sampler.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a :meth:`state`: the tasks drawn are those an uninterrupted run would have drawn.

        Raises:
            TaskError: the state is of other data, another parameter space, seed, size or sampler.
        """
        if state["setup"] != self._setup():
            raise TaskError(
                "the saved place in the stream of tasks belongs to other data or settings; resume with the same sets, "
                "parameter space, seed, sizes and sampler, or start anew"
            )
        self.sampler.restore(state["sampler"])
        self._next = int(state["task"])

    def _setup(self) -> str:
        """SHA-256 over everything besides the code that decides which tasks come."""
        digest = hashlib.sha256()
        sizes = [self.num_tasks_per_epoch, self.tasks_per_batch, self._queries, self._seed]
        digest.update(json.dumps([repr(self._space), sizes, self.sampler.name]).encode())
        for data in self.sets.values():
            digest.update(json.dumps([data.name, data.domain, data.classes, data.groups]).encode())
            digest.update(data.targets.astype("<i8").tobytes())
        return digest.hexdigest()

    def _draw(self, number: int) -> MetaTask:
        random = np.random.default_rng((self._seed, number))
        chances = self.sampler.probabilities(self.cells, number)
        cell = self.cells[int(random.choice(len(self.cells), p=chances))]
        shots = self._space.shots[int(random.integers(len(self._space.shots)))]
        balance = self._space.class_balance[int(random.integers(len(self._space.class_balance)))]
        # Shuffled, or a way's number would tell how many shots it has.
        counts = random.permutation(shots_per_class(shots, cell.ways, balance))
        return self._indices[cell.source].draw([int(n) for n in counts], self._queries, random)


def _opened(base: Base | Sequence[Base]) -> dict[str, LabelledSet]:
    bases = [base] if isinstance(base, str | Path | LabelledSet) else list(base)
    sets: dict[str, LabelledSet] = {}
    for each in bases:
        for data in [each] if isinstance(each, LabelledSet) else open_set(each):
            if sets.setdefault(data.name, data) is not data:
                raise TaskError(f"two sets are called {data.name}; rename one of the files")
    if not sets:
        raise TaskError("base_dataset names no data set; give a path, a registered name or a LabelledSet")
    return sets


def _chosen(sets: Mapping[str, LabelledSet], domains: Sequence[str] | None) -> dict[str, LabelledSet]:
    if domains is None:
        return dict(sets)
    there = sorted({data.domain for data in sets.values()})
    unknown = [name for name in domains if name not in there]
    if unknown:
        raise TaskError(
            f"domain_shift names {', '.join(unknown)}, which the base data does not have; it has {', '.join(there)}"
        )
    return {name: data for name, data in sets.items() if data.domain in domains}
