"""The parameter space: what is allowed, and the shots a balance gives."""

from __future__ import annotations

from typing import Any

import pytest

from medmeta.errors import TaskError
from medmeta.tasks.param_space import parse_param_space, shots_per_class


@pytest.mark.parametrize(
    ("shots", "ways", "balance", "expected"),
    [
        (5, 3, 0.7, [5, 4, 3]),  # 5, 4.25, 3.5
        (5, 2, 0.9, [5, 4]),  # 5, 4.5
        (10, 5, 0.7, [10, 9, 8, 8, 7]),  # 10, 9.25, 8.5, 7.75, 7
        (10, 2, 0.9, [10, 9]),
        (10, 3, 0.2, [10, 6, 2]),
        (4, 3, 1.0, [4, 4, 4]),
        (1, 4, 0.1, [1, 1, 1, 1]),
        (20, 2, 0.05, [20, 1]),
    ],
)
def test_shots_by_hand(shots: int, ways: int, balance: float, expected: list[int]) -> None:
    assert shots_per_class(shots, ways, balance) == expected


def test_a_set_takes_what_it_has() -> None:
    space = parse_param_space({"num_classes": [2, 5, "all"]}, shots=5)
    assert space.ways_of(3) == (2, 3)
    assert space.ways_of(5) == (2, 5)
    assert space.ways_of(8) == (2, 5, 8)


def test_defaults_and_single_values() -> None:
    space = parse_param_space({}, shots=3)
    assert space.ways_of(7) == (7,)
    assert (space.class_balance, space.domain_shift, space.shots) == ((1.0,), None, (3,))
    space = parse_param_space(
        {"num_classes": 4, "shots": 1, "class_balance": 0.5, "domain_shift": "ct"}, shots=3
    )
    assert (space.num_classes, space.shots) == ((4,), (1,))
    assert (space.class_balance, space.domain_shift) == ((0.5,), ("ct",))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ways": [2]}, "has no ways; it has num_classes, class_balance"),
        ({"num_classes": []}, "num_classes is empty"),
        ({"num_classes": [1]}, "whole numbers from 2 or 'all', found 1"),
        ({"num_classes": [2.0]}, "found 2.0"),
        ({"num_classes": [True]}, "found True"),
        ({"class_balance": [0.0]}, "above 0 and at most 1, found 0.0"),
        ({"class_balance": [1.5]}, "found 1.5"),
        ({"shots": [0]}, "whole numbers from 1, found 0"),
    ],
)
def test_values_out_of_range(given: dict[str, Any], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        parse_param_space(given, shots=5)
