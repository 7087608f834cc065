"""The few-shot protocol: every learner on the same group-disjoint episodes, compared episode by episode."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medmeta.errors import MedMetaError, TaskError
from medmeta.evaluation.few_shot_result import FewShotResult, Measured, Ways
from medmeta.evaluation.kept import Answer, Kept
from medmeta.evaluation.processes import spread, usable_jobs
from medmeta.learners.base import Learner
from medmeta.progress import Progress, part, silent
from medmeta.tasks.episodes import Episode, draw_episodes
from medmeta.tasks.task import Task

#: A learner's episodes are dealt out in this many pieces, so that no process waits long for another.
CHUNKS = 20
#: Share of the progress of one data set that looking at its scans takes.
LOOKING = 0.5


def run_few_shot(
    tasks: Sequence[Task],
    learners: Sequence[Learner],
    *,
    shots: int,
    queries: int = 15,
    ways: Ways = "all",
    episodes: int = 600,
    episodes_for: Mapping[str, int] | None = None,
    seed: int = 0,
    jobs: int | None = None,
    keep: Kept | None = None,
    progress: Progress = silent,
) -> FewShotResult:
    """Measure learners on the same episodes of each data set.

    Support and query of an episode share no patient, and each class has equally many queries. A learner's
    ``extractor`` looks at all scans of a data set once, before its episodes.

    Args:
        tasks: the data sets.
        learners: the first is the one the others are compared with.
        shots: support scans a class.
        queries: query scans a class.
        ways: classes an episode, drawn anew each time, or all of the data set.
        episodes: episodes a data set.
        episodes_for: fewer for a costly learner, by name: it gets the first so many of the same episodes.
        seed: of the episodes and of the bootstrap.
        jobs: processes; by default one a core. The accuracies do not depend on it.
        keep: where answers are kept as they come, and those of earlier runs are found.
        progress: told after every piece of work.

    Raises:
        TaskError: a data set cannot give the episodes, or names are not unique.
        MedMetaError: a learner failed; the message names it, the data set and the episode.
    """
    counts = _counts(learners, episodes, episodes_for or {})
    _unique([task.name for task in tasks], "data set")
    drawn = [_draw(task, shots, queries, None if ways == "all" else ways, episodes, seed) for task in tasks]
    extractors = {
        id(e): e for e in (getattr(learner, "extractor", None) for learner in learners) if e is not None
    }
    measured: list[Measured] = []
    for position, (task, draws) in enumerate(zip(tasks, drawn, strict=True)):
        here = part(progress, position / len(tasks), (position + 1) / len(tasks))
        found = [{} if keep is None else keep.read(task, learner.name) for learner in learners]
        missing = [
            [i for i in range(count) if i not in known] for known, count in zip(found, counts, strict=True)
        ]
        if any(missing):
            for number, extractor in enumerate(extractors.values()):
                share = LOOKING / len(extractors)
                extractor.extract(task.scans, progress=part(here, number * share, (number + 1) * share))
            for learner in learners:
                look = getattr(learner, "look", None)
                if look is not None:  # reads the scans with more than its extractor
                    look(task.scans, progress=part(here, 0.0, LOOKING))
        for number, rows in _answers(
            task, draws, learners, missing, usable_jobs(jobs), part(here, LOOKING, 1.0)
        ):
            found[number] |= rows
            if keep is not None:
                keep.add(task, learners[number].name, rows)
        measured += [
            _measured(task, draws, learner, [known[i] for i in range(count)])
            for learner, count, known in zip(learners, counts, found, strict=True)
        ]
    progress(1.0, "Measured every learner")
    return FewShotResult(shots, queries, ways, episodes, seed, usable_jobs(jobs), tuple(measured))


@dataclass(frozen=True, eq=False)
class _Draws:
    """Checked episodes of a task: ``targets`` and ``groups`` of the queries, ``(episodes, m)`` int64."""

    episodes: tuple[Episode, ...]
    targets: NDArray[np.int64]
    groups: NDArray[np.int64]


def _draw(task: Task, shots: int, queries: int, ways: int | None, episodes: int, seed: int) -> _Draws:
    """Draw the episodes and hold what is promised of them."""
    if min(shots, queries, episodes) < 1:
        raise TaskError(
            f"shots, queries and episodes must be at least 1, found {shots}, {queries}, {episodes}"
        )
    try:
        drawn = tuple(
            draw_episodes(task, shots=shots, queries=queries, episodes=episodes, seed=seed, ways=ways)
        )
    except TaskError as error:
        raise TaskError(f"{task.name}: {error}") from error
    groups = np.unique(np.array(task.groups), return_inverse=True)[1]
    targets = np.array(task.targets)
    fewest = queries
    for episode in drawn:
        support, query = list(episode.support), list(episode.query)
        assert not np.isin(groups[query], groups[support]).any(), "a patient stands in support and query"
        asked = np.bincount(targets[query], minlength=len(task.classes))
        fewest = min(fewest, int(asked[np.unique(targets[support])].min()))
    if fewest < queries:
        raise TaskError(
            f"{task.name}: {queries} query scans a class were asked for, but some episode leaves a class "
            f"{fewest} of patients outside the support; "
            + (f"ask for {fewest} queries" if fewest else "the classes share too many patients")
        )
    positions = np.array([episode.query for episode in drawn])
    return _Draws(drawn, targets[positions], groups[positions].astype(np.int64))


def _answers(
    task: Task,
    draws: _Draws,
    learners: Sequence[Learner],
    missing: Sequence[Sequence[int]],
    jobs: int,
    progress: Progress,
) -> Iterator[tuple[int, dict[int, Answer]]]:
    """A learner's position and answers to some of its missing episodes, until there are all."""
    pieces = [
        (number, [int(i) for i in piece])
        for number, rest in enumerate(missing)
        for piece in np.array_split(rest, min(len(rest), CHUNKS) or 1)
        if len(piece)
    ]

    def work(piece: tuple[int, list[int]]) -> dict[int, Answer]:
        number, episodes = piece
        return {i: _episode(task, draws.episodes[i], learners[number], i) for i in episodes}

    for done, ((number, episodes), rows) in enumerate(
        zip(pieces, spread(work, pieces, jobs), strict=True), start=1
    ):
        yield number, rows
        progress(done / len(pieces), f"{task.name}: {learners[number].name}, episode {episodes[-1] + 1}")


def _measured(task: Task, draws: _Draws, learner: Learner, answers: Sequence[Answer]) -> Measured:
    """The answers to the first episodes, side by side."""
    return Measured(
        task.name,
        learner.name,
        np.array([answer.right for answer in answers], dtype=np.bool_),
        draws.targets[: len(answers)],
        draws.groups[: len(answers)],
        np.array([answer.seconds_adapt for answer in answers], dtype=np.float64),
        np.array([answer.seconds_predict for answer in answers], dtype=np.float64),
    )


def _episode(task: Task, episode: Episode, learner: Learner, number: int) -> Answer:
    """Which query scans a learner gets right, and its seconds of adapting and of predicting."""
    support, query = task.subset(episode.support), [task.scans[i] for i in episode.query]
    try:
        start = time.perf_counter()
        model = learner.adapt(support)
        adapted = time.perf_counter()
        answer = model.predict(query)
        stop = time.perf_counter()
    except MedMetaError as error:
        raise MedMetaError(f"{learner.name} on {task.name}, episode {number}: {error}") from error
    right = tuple(found == task.labels[i] for found, i in zip(answer.labels, episode.query, strict=True))
    return Answer(right, adapted - start, stop - adapted)


def _counts(learners: Sequence[Learner], episodes: int, fewer: Mapping[str, int]) -> list[int]:
    """Episodes of each learner."""
    names = [learner.name for learner in learners]
    _unique(names, "learner")
    if not names:
        raise TaskError("name at least one learner to measure")
    for name, count in fewer.items():
        if name not in names or not 1 <= count <= episodes:
            raise TaskError(
                f"{count} episodes were asked for {name}; name one of {', '.join(names)} and 1 to {episodes}"
            )
    return [fewer.get(name, episodes) for name in names]


def _unique(names: Sequence[str], what: str) -> None:
    twice = [name for position, name in enumerate(names) if name in names[:position]]
    if twice:
        raise TaskError(f"two {what}s are called {twice[0]}; name each once")
