"""The stream of tasks: the parameter space as written, resumed, shared among processes, and never dividing a group."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from medmeta.errors import TaskError
from medmeta.tasks.builder import TaskDistributionBuilder
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import MetaTask
from medmeta.tasks.param_space import shots_per_class
from medmeta.tasks.samplers import Sampler

SPACE = {"num_classes": [2, 5, 10], "class_balance": [0.7, 0.9], "domain_shift": ["blood", "mri", "xray"]}


def made(name: str, domain: str, classes: int, patients: int = 16, scans: int = 3) -> LabelledSet:
    """Each class has ``patients`` patients of ``scans`` items; every fourth patient is in the next class too."""
    targets, groups = [], []
    for target in range(classes):
        for patient in range(patients):
            for scan in range(scans):
                shared = patient % 4 == 0 and scan == 0
                targets.append((target + 1) % classes if shared else target)
                groups.append(f"{target}-{patient}")
    items = [f"{name} {i}" for i in range(len(targets))]
    names = tuple(f"{name}{i}" for i in range(classes))
    return LabelledSet(name, domain, names, np.array(targets, np.int64), tuple(groups), items)


@pytest.fixture(scope="module")
def base() -> list[LabelledSet]:
    return [
        made("pbc", "blood", 11),
        made("brain", "mri", 4),
        made("knee", "xray", 5),
        made("lung", "ct", 3),
    ]


def stream(builder: TaskDistributionBuilder, batches: int) -> list[MetaTask]:
    return [task for _ in range(batches) for task in builder.generate_batch()]


def test_the_parameter_space_as_written(base: list[LabelledSet]) -> None:
    builder = TaskDistributionBuilder(base, SPACE, 300, seed=3)
    assert set(builder.sets) == {"pbc", "brain", "knee"}
    tasks = [task for batch in builder.batches() for task in batch]
    assert len(tasks) == 300
    ways = {source: {len(task.classes) for task in tasks if task.source == source} for source in builder.sets}
    assert ways == {"pbc": {2, 5, 10}, "brain": {2, 4}, "knee": {2, 5}}
    for task in tasks:
        data = builder.sets[task.source]
        assert task.domain == data.domain
        assert len(set(task.classes)) == len(task.classes)
        assert not {data.groups[i] for i in task.support} & {data.groups[i] for i in task.query}
        counts = sorted(Counter(task.support_targets).values(), reverse=True)
        assert counts in [shots_per_class(5, len(task.classes), balance) for balance in (0.7, 0.9)]
        assert set(Counter(task.query_targets).values()) == {15}
    smallest = {min(Counter(task.support_targets).values()) for task in tasks}
    assert smallest == {3, 4}  # 0.7 * 5 and 0.9 * 5, halves down
    # Where the smallest class stands is chance.
    first = [Counter(task.support_targets)[0] for task in tasks]
    assert set(first) == {3, 4, 5}


def test_sets_come_evenly_and_shots_from_the_space(base: list[LabelledSet]) -> None:
    builder = TaskDistributionBuilder(base, {"num_classes": "all", "shots": [1, 5, 10]}, 1200, queries=1)
    tasks = [task for batch in builder.batches() for task in batch]
    assert Counter(len(task.classes) for task in tasks).keys() == {11, 4, 5, 3}
    for found, kinds in (
        (Counter(task.source for task in tasks), 4),
        (Counter(len(task.support) // len(task.classes) for task in tasks), 3),
    ):
        assert len(found) == kinds
        sigma = (1200 * (1 / kinds) * (1 - 1 / kinds)) ** 0.5
        assert max(abs(count - 1200 / kinds) for count in found.values()) < 5 * sigma


def test_a_task_depends_on_seed_and_number_alone(base: list[LabelledSet]) -> None:
    wide = TaskDistributionBuilder(base, SPACE, 12, seed=1, tasks_per_batch=12)
    narrow = TaskDistributionBuilder(base, SPACE, 12, seed=1, tasks_per_batch=1)
    assert stream(wide, 2) == stream(narrow, 24)
    other = TaskDistributionBuilder(base, SPACE, 12, seed=2, tasks_per_batch=12)
    wide.set_epoch(0)
    assert stream(wide, 1) != stream(other, 1)


def test_epochs(base: list[LabelledSet]) -> None:
    builder = TaskDistributionBuilder(base, SPACE, 10, tasks_per_batch=4)
    first = list(builder.batches())
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert builder.epoch == 1
    second = list(builder.batches())
    assert first != second
    builder.set_epoch(1)
    assert list(builder.batches()) == second
    builder.set_epoch(0)
    builder.generate_batch()
    assert list(builder.batches()) == first[1:]


def learn(sampler: Sampler, tasks: Sequence[MetaTask]) -> None:
    for task in tasks:
        sampler.report(task, 0.1 if task.source == "brain" else len(task.classes) / 6)


@pytest.mark.parametrize("sampler", ["uniform", "curriculum", "difficulty"])
def test_a_resumed_run_draws_what_an_uninterrupted_one_would(base: list[LabelledSet], sampler: str) -> None:
    def builder() -> TaskDistributionBuilder:
        return TaskDistributionBuilder(base, SPACE, 11, seed=5, sampler=sampler)

    whole = builder()
    expected = []
    for _ in range(30):
        batch = whole.generate_batch()
        learn(whole.sampler, batch)
        expected.append(batch)
    for stop in (1, 7, 20):
        cut = builder()
        for _ in range(stop):
            learn(cut.sampler, cut.generate_batch())
        resumed = builder()
        resumed.restore(json.loads(json.dumps(cut.state())))
        for number in range(stop, 30):
            batch = resumed.generate_batch()
            learn(resumed.sampler, batch)
            assert batch == expected[number]
        assert resumed.state() == whole.state()


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("sampler", ["uniform", "difficulty"])
def test_processes_together_draw_what_one_would(base: list[LabelledSet], world: int, sampler: str) -> None:
    def builder() -> TaskDistributionBuilder:
        return TaskDistributionBuilder(base, SPACE, 10, seed=9, sampler=sampler)

    alone, ranks = builder(), [builder() for _ in range(world)]
    for _ in range(9):
        batch = alone.generate_batch()
        shares = [each.generate_batch(rank, world) for rank, each in enumerate(ranks)]
        for rank, share in enumerate(shares):
            assert share == batch[rank::world]
        for each in (alone, *ranks):
            learn(each.sampler, batch)
    assert all(each.state() == alone.state() for each in ranks)
    assert [list(each.batches(rank, world)) for rank, each in enumerate(ranks)] == [
        [batch[rank::world] for batch in list(_copy(alone, builder()).batches())] for rank in range(world)
    ]


def _copy(source: TaskDistributionBuilder, into: TaskDistributionBuilder) -> TaskDistributionBuilder:
    into.restore(source.state())
    return into


def test_the_adaptive_sampler_shifts_the_stream(base: list[LabelledSet]) -> None:
    builder = TaskDistributionBuilder(base, {"num_classes": 3}, 4000, sampler="difficulty", queries=1)
    for task in stream(builder, 100):
        for _ in range(50):
            builder.sampler.report(task, 1.0 if task.source == "lung" else 0.0)
    chances = builder.sampler.probabilities(builder.cells, 0)
    expected = [0.2 * 0.25 + 0.8 * (cell.source == "lung") for cell in builder.cells]
    assert chances == pytest.approx(expected, abs=0.02)
    found = Counter(task.source for task in stream(builder, 500))
    for cell, chance in zip(builder.cells, chances, strict=True):
        assert abs(found[cell.source] - 2000 * chance) < 5 * (2000 * chance * (1 - chance)) ** 0.5


def test_a_path_and_a_list_of_kinds(base: list[LabelledSet], tmp_path: Path) -> None:
    rows = [f"{name} {i},{name},{domain}" for domain in ("ct", "us") for name in "ab" for i in range(4)]
    rows = [row.replace(" ", f" {row[-2:]} ", 1) for row in rows]
    (tmp_path / "notes.csv").write_text("text,label,domain\n" + "\n".join(rows))
    builder = TaskDistributionBuilder(tmp_path / "notes.csv", {"num_classes": 2}, 4, shots=2)
    assert set(builder.sets) == {"notes/ct", "notes/us"}
    task = builder.generate_batch()[0]
    assert {builder.sets[task.source].items[i][0] for i in task.support} == {"a", "b"}
    both = TaskDistributionBuilder([base[1], str(tmp_path / "notes.csv")], {}, 4, shots=2)
    assert set(both.sets) == {"brain", "notes/ct", "notes/us"}


def test_what_cannot_be_drawn_is_told(base: list[LabelledSet]) -> None:
    def build(*sets: LabelledSet, **kwargs: int) -> TaskDistributionBuilder:
        return TaskDistributionBuilder(list(sets), SPACE, 10, **kwargs)

    with pytest.raises(TaskError, match=r"domain_shift names mri, xray, which.*it has blood, ct"):
        build(base[0], base[3])
    with pytest.raises(TaskError, match="two sets are called brain"):
        build(*base, made("brain", "mri", 3))
    with pytest.raises(TaskError, match="names no data set"):
        build()
    with pytest.raises(TaskError, match=r"brain: class brain0 has .* need at least 21"):
        build(*base[1:], base[0], shots=20)
    with pytest.raises(TaskError, match="at least 1"):
        build(*base, queries=0)
    builder = build(*base, tasks_per_batch=2)
    with pytest.raises(TaskError, match="rank 0 of 3 processes"):
        builder.generate_batch(0, 3)
    with pytest.raises(TaskError, match="rank 2 of 2"):
        builder.generate_batch(2, 2)
    with pytest.raises(TaskError, match="counted from 0"):
        builder.set_epoch(-1)


def test_a_state_of_another_setup_is_refused(base: list[LabelledSet]) -> None:
    state = TaskDistributionBuilder(base, SPACE, 10).state()
    TaskDistributionBuilder(base, SPACE, 10).restore(state)
    for other in (
        TaskDistributionBuilder(base, SPACE, 10, seed=1),
        TaskDistributionBuilder(base, SPACE, 20),
        TaskDistributionBuilder(base, {**SPACE, "num_classes": [2]}, 10),
        TaskDistributionBuilder(base, SPACE, 10, sampler="difficulty"),
        TaskDistributionBuilder([*base[:2], made("knee", "xray", 5, patients=17)], SPACE, 10),
    ):
        with pytest.raises(TaskError, match="other data or settings"):
            other.restore(state)


def test_a_real_set_gives_group_safe_tasks(shared_data: Path) -> None:
    builder = TaskDistributionBuilder(
        shared_data / "meta-train" / "med_nist.zip", {"num_classes": [2, 5, 10]}, 40
    )
    (data,) = builder.sets.values()
    for batch in builder.batches():
        for task in batch:
            assert len(task.classes) in {2, 5, 6}
            assert not {data.groups[i] for i in task.support} & {data.groups[i] for i in task.query}
