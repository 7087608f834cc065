"""`Episode`: one draw of support and query from a labelled data set, never dividing a group (patient)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medmeta.errors import TaskError
from medmeta.tasks.task import Task


@dataclass(frozen=True)
class Episode:
    """Positions in a task: what adapts and what is predicted; no group has scans in both."""

    support: tuple[int, ...]
    query: tuple[int, ...]


def draw_episodes(
    task: Task, *, shots: int, queries: int, episodes: int, seed: int, ways: int | None = None
) -> Iterator[Episode]:
    """Draw episodes with all classes of ``task``, or ``ways`` of them drawn anew each time, as ways.

    Each class gives ``shots`` support scans of as many different groups where it has them, and up to
    ``queries`` query scans of groups that stand nowhere in the support.

    Args:
        task: the data set.
        shots: support scans per class.
        queries: query scans per class, at most.
        episodes: how many.
        seed: of the draw; episode i of a seed is always the same.
        ways: classes an episode; None for all of them.

    Raises:
        TaskError: a class has too few groups to give both support and query, or ``ways`` is not between 2 and
            the number of classes.
    """
    if ways is not None and not 2 <= ways <= len(task.classes):
        raise TaskError(
            f"{ways} ways were asked for; {task.name} has {len(task.classes)} classes, give 2 to that"
        )
    groups = np.array(task.groups)
    targets = np.array(task.targets)
    for episode in range(episodes):
        random = np.random.default_rng((seed, episode))
        order = random.permutation(len(targets))
        chosen: Sequence[int] = range(len(task.classes))
        if ways is not None:
            chosen = sorted(random.choice(len(task.classes), ways, replace=False).tolist())
        support: list[int] = []
        for target in chosen:
            name = task.classes[target]
            of_class = order[targets[order] == target]
            _, first = np.unique(groups[of_class], return_index=True)
            if len(first) <= shots:
                raise TaskError(
                    f"class {name} has {len(first)} patients, but {shots} shots and a query need at least "
                    f"{shots + 1}"
                )
            support.extend(int(i) for i in of_class[np.sort(first)][:shots])
        left = order[~np.isin(groups[order], groups[support])]
        query = [int(i) for t in chosen for i in left[targets[left] == t][:queries]]
        yield Episode(tuple(support), tuple(query))
