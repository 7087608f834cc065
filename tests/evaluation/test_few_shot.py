"""The few-shot protocol against a loop written anew, and what it promises of episodes, jobs and refusals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from medmeta.errors import CancelledError, MedMetaError, TaskError
from medmeta.evaluation.few_shot import run_few_shot
from medmeta.evaluation.few_shot_result import FewShotResult, to_json
from medmeta.evaluation.paired import patients_interval, t_interval
from medmeta.evaluation.processes import spread
from medmeta.learners.base import Learner, TaskModel
from medmeta.learners.registry import make_learner
from medmeta.progress import Progress, silent
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.episodes import draw_episodes
from medmeta.tasks.task import Task, make_task

NAMES = ("anchor", "ridge", "prototypes")


class Planted:
    """Stands for the feature extractor: a weak signal of the class in noise of the scan."""

    size = 12

    def __init__(self) -> None:
        self.looked = 0

    def extract(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        self.looked += len(scans)
        progress(1.0, "looked")
        return torch.stack([self.feature(scan) for scan in scans])

    def feature(self, scan: Scan) -> Tensor:
        kind, number = int(scan.pixels[0, 0, 0]), int(scan.pixels[0, 0, 1])
        found = torch.randn(self.size, generator=torch.Generator().manual_seed(1000 * kind + number))
        found[kind] += 1.5
        return found


def data_set(name: str, classes: int = 3, patients: int = 14, offset: int = 0) -> Task:
    """Every second patient has two scans."""
    return make_task(
        (
            LabelledScan(
                Scan(f"{c}/{p}-{s}", np.array([[[c, offset + 2 * p + s]]], np.uint16), f"{name}-{c}-{p}"),
                "abcde"[c],
            )
            for c in range(classes)
            for p in range(patients)
            for s in range(1 + p % 2)
        ),
        name,
    )


def learners() -> list[Learner]:
    planted = Planted()
    return [make_learner(name, planted) for name in NAMES]  # type: ignore[arg-type]


TASKS = [data_set("one"), data_set("two", classes=4, offset=300)]


def measure(jobs: int = 1, episodes: int = 6, seed: int = 3) -> FewShotResult:
    return run_few_shot(TASKS, learners(), shots=2, queries=5, episodes=episodes, seed=seed, jobs=jobs)


@pytest.fixture(scope="module")
def result() -> FewShotResult:
    return measure()


def test_equals_a_loop_written_anew() -> None:
    found = run_few_shot(TASKS[:1], learners(), shots=2, queries=5, episodes=2, seed=3, jobs=1)
    task, planted = TASKS[0], Planted()
    z = torch.stack([planted.feature(scan).double() for scan in task.scans])
    z = z / z.norm(dim=1, keepdim=True)
    for number, episode in enumerate(draw_episodes(task, shots=2, queries=5, episodes=2, seed=3)):
        centres = []
        for label in task.classes:
            mean = sum(z[i] for i in episode.support if task.labels[i] == label)
            assert isinstance(mean, Tensor)
            centres.append(mean / mean.norm())
        right = sum(
            task.classes[int(torch.stack([c @ z[i] for c in centres]).argmax())] == task.labels[i]
            for i in episode.query
        )
        assert found.of("one", "prototypes").per_episode[number] == pytest.approx(right / 15)
        for learner in learners()[:2]:
            answer = learner.adapt(task.subset(episode.support)).predict(
                [task.scans[i] for i in episode.query]
            )
            right = sum(
                label == task.labels[i] for label, i in zip(answer.labels, episode.query, strict=True)
            )
            assert found.of("one", learner.name).per_episode[number] == pytest.approx(right / 15)


def test_every_learner_has_the_same_balanced_episodes(result: FewShotResult) -> None:
    assert (result.data, result.learners) == (("one", "two"), NAMES)
    for data, ways in (("one", 3), ("two", 4)):
        first = result.of(data, "anchor")
        assert first.right.shape == (6, 5 * ways)
        for name in NAMES[1:]:
            np.testing.assert_array_equal(result.of(data, name).targets, first.targets)
            np.testing.assert_array_equal(result.of(data, name).groups, first.groups)
        for row in first.targets:
            assert Counter(row.tolist()) == dict.fromkeys(range(ways), 5)
    means = [result.of("one", name).accuracy_mean for name in NAMES]
    assert 1 / 3 < min(means) <= max(means) < 1  # a signal, but not all of it


def test_the_jobs_change_nothing_but_time(result: FewShotResult) -> None:
    again = measure(jobs=2)
    assert (result.jobs, again.jobs) == (1, 2)
    for one, other in zip(result.measured, again.measured, strict=True):
        assert (one.data, one.learner) == (other.data, other.learner)
        np.testing.assert_array_equal(one.right, other.right)
    assert result.paired() == again.paired()
    assert result.paired_all() == again.paired_all()


def test_fewer_episodes_are_the_first_of_the_same(result: FewShotResult) -> None:
    found = run_few_shot(
        TASKS,
        learners(),
        shots=2,
        queries=5,
        episodes=6,
        seed=3,
        jobs=1,
        episodes_for={"ridge": 4},
    )
    np.testing.assert_array_equal(found.of("two", "ridge").right, result.of("two", "ridge").right[:4])
    assert [d.n_episodes for d in found.paired()] == [4, 6, 4, 6]
    first, other = result.of("one", "anchor").per_episode[:4], result.of("one", "ridge").per_episode[:4]
    assert found.paired()[0].difference == pytest.approx((first - other).mean())
    assert len(found.paired_all()) == 2


def test_differences_follow_from_the_episodes(result: FewShotResult) -> None:
    pairs = result.paired()
    assert [(p.data, p.learner, p.against) for p in pairs] == [
        (data, "anchor", other) for data in ("one", "two") for other in NAMES[1:]
    ]
    anchor, prototypes = result.of("one", "anchor"), result.of("one", "prototypes")
    assert pairs[1].ci95 == t_interval(anchor.per_episode - prototypes.per_episode)
    rows = [
        (int(anchor.right[e, q]) - int(prototypes.right[e, q]), anchor.targets[e, q], anchor.groups[e, q])
        for e in range(6)
        for q in range(15)
    ]
    assert pairs[1].ci95_patients == patients_interval(*zip(*rows, strict=True))
    assert pairs[1].difference == pytest.approx(sum(row[0] for row in rows) / 90)
    overall = result.paired_all()[1]
    assert overall.difference == pytest.approx((pairs[1].difference + pairs[3].difference) / 2)
    assert run_few_shot(TASKS[:1], learners(), shots=1, queries=1, episodes=2, jobs=1).paired_all() == ()


def test_json_is_plain(result: FewShotResult) -> None:
    document = json.loads(json.dumps(to_json(result), allow_nan=False))
    assert set(document) == {"results", "paired", "paired_all"}
    row = document["results"][0]
    assert (row["data"], row["learner"], row["shots"], row["n_episodes"]) == ("one", "anchor", 2, 6)
    assert row["accuracy_mean"] == pytest.approx(np.mean(row["per_episode"]))
    assert row["ci95"][0] < row["accuracy_mean"] < row["ci95"][1]
    assert row["seconds_adapt"] > 0
    single = to_json(run_few_shot(TASKS, learners(), shots=1, queries=1, episodes=1, jobs=1))
    assert single["results"][0]["ci95"] is None
    assert single["paired"][0]["ci95"] is None


def test_drawn_ways_keep_their_promises() -> None:
    task = TASKS[1]
    draws = list(draw_episodes(task, shots=2, queries=3, episodes=30, seed=1, ways=2))
    assert draws == list(draw_episodes(task, shots=2, queries=3, episodes=30, seed=1, ways=2))
    chosen = Counter(label for draw in draws for label in {task.labels[i] for i in draw.support})
    assert set(chosen) == set(task.classes)
    for draw in draws:
        support = Counter(task.labels[i] for i in draw.support)
        assert sorted(support.values()) == [2, 2]
        assert Counter(task.labels[i] for i in draw.query) == dict.fromkeys(support, 3)
        assert not {task.groups[i] for i in draw.support} & {task.groups[i] for i in draw.query}
    found = run_few_shot(TASKS, learners(), shots=2, queries=3, ways=2, episodes=3, jobs=1)
    assert found.of("two", "ridge").right.shape == (3, 6)
    with pytest.raises(TaskError, match="one: 4 ways were asked for; one has 3 classes"):
        run_few_shot(TASKS, learners(), shots=2, ways=4, queries=2, episodes=2, jobs=1)


def test_scans_are_looked_at_before_the_episodes_and_progress_rises() -> None:
    planted = Planted()
    both: list[Learner] = [make_learner(name, planted) for name in ("ridge", "prototypes")]  # type: ignore[arg-type]
    seen: list[tuple[float, int]] = []
    run_few_shot(
        TASKS,
        both,
        shots=1,
        queries=1,
        episodes=2,
        jobs=1,
        progress=lambda fraction, message: seen.append((fraction, planted.looked)),
    )
    assert seen[0][1] == len(TASKS[0].scans)  # once, though two learners share the extractor
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shots": 14}, "one: class a has 14 patients, but 14 shots"),
        ({"queries": 40}, "one: 40 query scans a class were asked for, .* ask for 1[678] queries"),
        ({"shots": 0}, "at least 1, found 0"),
        (
            {"episodes_for": {"maml": 2}},
            "2 episodes were asked for maml; name one of anchor, ridge, prototypes",
        ),
        ({"episodes_for": {"ridge": 9}}, "9 episodes were asked for ridge; .* 1 to 2"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_it_starts(change: dict[str, object], message: str) -> None:
    settings = {"shots": 2, "queries": 2, "episodes": 2, "jobs": 1, **change}
    started: list[str] = []
    with pytest.raises(TaskError, match=message):
        run_few_shot(TASKS, learners(), progress=lambda f, m: started.append(m), **settings)  # type: ignore[arg-type]
    assert not started


def test_names_are_unique() -> None:
    with pytest.raises(TaskError, match="two data sets are called one"):
        run_few_shot([TASKS[0], TASKS[0]], learners(), shots=2, queries=2, episodes=2)
    with pytest.raises(TaskError, match="two learners are called anchor"):
        run_few_shot(TASKS, [*learners(), learners()[0]], shots=2, queries=2, episodes=2)


@dataclass(frozen=True)
class Failing:
    name: str = "failing"
    extractor: None = field(default=None)

    def adapt(self, support: Task, *, progress: Progress = silent) -> TaskModel:
        raise TaskError("it does not converge")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_learner_is_named(jobs: int) -> None:
    with pytest.raises(MedMetaError, match="failing on one, episode 0: it does not converge"):
        run_few_shot(TASKS, [*learners()[2:], Failing()], shots=2, queries=2, episodes=2, jobs=jobs)


@pytest.mark.parametrize("jobs", [1, 2])
def test_stopping_stops(jobs: int) -> None:
    def stop(fraction: float, message: str) -> None:
        if "episode" in message:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        run_few_shot(TASKS, learners(), shots=2, queries=2, episodes=50, jobs=jobs, progress=stop)


def test_a_process_ended_from_outside_is_said_so() -> None:
    import os
    import signal

    def die(item: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(MedMetaError, match="was ended from outside"):
        list(spread(die, [1, 2], jobs=2))


def test_work_is_inherited_and_runs_on_one_thread() -> None:
    kept = object()  # a closure over it could not be pickled
    found = list(spread(lambda item: (item, torch.get_num_threads(), kept is not None), range(5), jobs=2))
    assert found == [(item, 1, True) for item in range(5)]
