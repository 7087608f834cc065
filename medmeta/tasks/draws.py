"""Drawing a `MetaTask` from a `LabelledSet` so that support and query never share a group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medmeta.errors import TaskError
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import MetaTask

#: Draws are repeated where groups of several classes left a class without a query.
ATTEMPTS = 50


class SetIndex:
    """A set's items by class and group, sorted out once so that a draw is quick.

    Args:
        data: the set.
    """

    def __init__(self, data: LabelledSet) -> None:
        self.data = data
        _, codes = np.unique(np.array(data.groups, dtype=str), return_inverse=True)
        self._codes: NDArray[np.int64] = codes.astype(np.int64)
        self._items = [np.flatnonzero(data.targets == target) for target in range(len(data.classes))]
        #: items of each class, cut by group
        self._by_group = [self._cut(items) for items in self._items]

    def check(self, shots: int) -> None:
        """Hold that every class can give ``shots`` support items of different groups, and a query of another.

        Raises:
            TaskError: names the class that cannot.
        """
        for name, groups in zip(self.data.classes, self._by_group, strict=True):
            if len(groups) <= shots:
                raise TaskError(
                    f"{self.data.name}: class {name} has {len(groups)} groups (patients), but {shots} shots and a "
                    f"query need at least {shots + 1}; ask for fewer shots, or leave the class or the set out"
                )

    def draw(self, shots: Sequence[int], queries: int, random: np.random.Generator) -> MetaTask:
        """Draw one task with ``len(shots)`` ways.

        The ways are a random choice of the classes in random order. Each takes its shots from as many different
        groups; the query has the same number of items of each class, ``queries`` at most, of other groups.

        Args:
            shots: support items of each way.
            queries: query items a class, at most.
            random: the only source of chance.

        Raises:
            TaskError: groups that hold several classes leave no class-complete query, however often it is tried.
        """
        for _ in range(ATTEMPTS):
            ways = random.permutation(len(self.data.classes))[: len(shots)]
            support = [self._support(way, count, random) for way, count in zip(ways, shots, strict=True)]
            taken = self._codes[np.concatenate(support)]
            left = [self._items[way][~np.isin(self._codes[self._items[way]], taken)] for way in ways]
            size = min(queries, *(len(items) for items in left))
            if size:
                query = [random.permutation(items)[:size] for items in left]
                return self._task(ways, support, query)
        raise TaskError(
            f"{self.data.name}: its groups (patients) hold several classes each, so that a support of {max(shots)} "
            "shots left a class without a query; ask for fewer shots or ways"
        )

    def _cut(self, items: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        order = items[np.argsort(self._codes[items], kind="stable")]
        return np.split(order, np.flatnonzero(np.diff(self._codes[order])) + 1) if len(items) else []

    def _support(self, way: int, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """One item each of ``count`` groups, every group being equally likely whatever its size."""
        groups = self._by_group[way]
        chosen = random.choice(len(groups), size=count, replace=False)
        return np.array([random.choice(groups[group]) for group in chosen], dtype=np.int64)

    def _task(
        self,
        ways: NDArray[np.int64],
        support: Sequence[NDArray[np.int64]],
        query: Sequence[NDArray[np.int64]],
    ) -> MetaTask:
        return MetaTask(
            source=self.data.name,
            domain=self.data.domain,
            classes=tuple(self.data.classes[way] for way in ways),
            support=tuple(int(i) for i in np.concatenate(support)),
            query=tuple(int(i) for i in np.concatenate(query)),
            support_targets=tuple(way for way, items in enumerate(support) for _ in items),
            query_targets=tuple(way for way, items in enumerate(query) for _ in items),
        )
