"""Samplers against their closed forms, computed by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from medmeta.errors import TaskError
from medmeta.tasks.meta_task import MetaTask
from medmeta.tasks.samplers import (
    Cell,
    Curriculum,
    DifficultyAdaptive,
    Sampler,
    Uniform,
    difficulty,
    make_sampler,
)

A2, A5, B2, C4 = Cell("a", 2), Cell("a", 5), Cell("b", 2), Cell("c", 4)
CELLS = [A2, A5, B2, C4]


def task(cell: Cell) -> MetaTask:
    classes = tuple(str(i) for i in range(cell.ways))
    return MetaTask(cell.source, "d", classes, (0,), (1,), (0,), (0,))


def test_difficulty_is_relative_to_chance() -> None:
    assert difficulty(math.log(7), 7) == 1.0
    assert difficulty(0.5 * math.log(2), 2) == pytest.approx(0.5)


def test_uniform_over_sets_then_ways() -> None:
    assert Uniform().probabilities(CELLS, 0).tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3])


def test_curriculum_opens_from_few_ways_to_all() -> None:
    sampler = Curriculum(tasks=100, start=0.5)
    # Half of four cells: the two of two ways; three at 3/4; all at the end and after it.
    assert sampler.probabilities(CELLS, 0).tolist() == [0.5, 0.0, 0.5, 0.0]
    assert sampler.probabilities(CELLS, 50).tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])
    for number in (100, 1000):
        assert sampler.probabilities(CELLS, number).tolist() == Uniform().probabilities(CELLS, 0).tolist()


def test_curriculum_follows_what_was_measured() -> None:
    sampler = Curriculum(tasks=100, start=0.25, rate=1.0)
    assert sampler.probabilities(CELLS, 0).tolist() == [1.0, 0.0, 0.0, 0.0]
    sampler.report(task(C4), 0.1)  # 0.1 ln 4 < ln 2
    assert sampler.probabilities(CELLS, 0).tolist() == [0.0, 0.0, 0.0, 1.0]


def test_adaptive_against_its_formula() -> None:
    sampler = DifficultyAdaptive(floor=0.2, rate=0.5)
    assert sampler.probabilities(CELLS, 0) == pytest.approx(Uniform().probabilities(CELLS, 0))
    sampler.report(task(A2), 0.0)  # 1 -> 0.5
    sampler.report(task(A2), 0.1)  # 0.5 -> 0.3
    sampler.report(task(C4), 1.8)  # 1 -> 1.4
    hard = np.array([0.3 / 6, 1 / 6, 1 / 3, 1.4 / 3])
    expected = 0.2 * np.array([1 / 6, 1 / 6, 1 / 3, 1 / 3]) + 0.8 * hard / hard.sum()
    assert sampler.probabilities(CELLS, 0) == pytest.approx(expected)


def test_no_cell_starves_and_none_takes_over() -> None:
    sampler = DifficultyAdaptive(floor=0.3, rate=1.0)
    sampler.report(task(A2), 0.0)
    sampler.report(task(C4), 1e9)  # counts as twice chance
    found = sampler.probabilities(CELLS, 0)
    assert found[0] == pytest.approx(0.3 / 6)
    hard = 2 / 3 / (1 / 6 + 1 / 3 + 2 / 3)
    assert found[3] == pytest.approx(0.3 / 3 + 0.7 * hard)
    for cell in CELLS:
        sampler.report(task(cell), 0.0)
    assert sampler.probabilities(CELLS, 0) == pytest.approx(Uniform().probabilities(CELLS, 0))


@pytest.mark.parametrize("name", ["uniform", "curriculum", "difficulty"])
def test_state_is_json_and_restores(name: str) -> None:
    sampler: Sampler = make_sampler(name)
    assert sampler.name == name
    for cell, value in ((A2, 0.2), (C4, 1.7), (A2, 0.4)):
        sampler.report(task(cell), value)
    again = make_sampler(name)
    again.restore(json.loads(json.dumps(sampler.state())))
    for number in (0, 300, 5000):
        found = sampler.probabilities(CELLS, number)
        assert again.probabilities(CELLS, number).tolist() == found.tolist()
        assert found.sum() == pytest.approx(1.0)
    again.report(task(B2), 0.9)
    sampler.report(task(B2), 0.9)
    assert again.state() == sampler.state()


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_a_difficulty_must_be_a_number(value: float) -> None:
    with pytest.raises(TaskError, match="difficulty must be a number"):
        DifficultyAdaptive().report(task(A2), value)


def test_settings_out_of_range_and_unknown_names() -> None:
    with pytest.raises(TaskError, match="at least 1 task"):
        Curriculum(tasks=0)
    with pytest.raises(TaskError, match="floor and rate"):
        DifficultyAdaptive(floor=0.0)
    with pytest.raises(TaskError, match="no sampler 'hard'; there are: uniform, curriculum, difficulty"):
        make_sampler("hard")
