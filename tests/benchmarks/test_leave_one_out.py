"""The ablation's variants switch off the blocks that they are named after."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.leave_one_out import BLOCKS, DEFAULT, VARIANTS, difference
from medmeta.models.backbones import load_backbone
from medmeta.models.map_statistics import statistic_sizes

NETWORK = load_backbone().network
#: (trunk, stage counted from the last, statistic) of each block.
PLACES = [
    (trunk, stage, statistic)
    for trunk in ("original", "medical")
    for stage in range(4)
    for statistic in ("mean", "deviation", "covariance")
]


def test_blocks_are_those_of_two_trunks() -> None:
    stages = reversed(NETWORK.stage_names[-4:])
    expected = [size for name in stages for size in statistic_sizes(NETWORK.stage_channels[name])]
    assert list(NETWORK.statistic_sizes) == expected
    assert len(BLOCKS) == 2 * len(expected) == len(PLACES)


@pytest.mark.parametrize(
    ("name", "position", "values"),
    [
        ("original trunk only", 0, {"original"}),
        ("medical trunk only", 0, {"medical"}),
        ("last stage only", 1, {0}),
        ("means only", 2, {"mean"}),
        ("no deviations", 2, {"mean", "covariance"}),
        ("no covariances", 2, {"mean", "deviation"}),
    ],
)
def test_a_variant_keeps_what_it_says(name: str, position: int, values: set[str | int]) -> None:
    off = VARIANTS[name].parts.off
    assert {place[position] for number, place in enumerate(PLACES) if number not in off} == values
    assert {place[position] for number, place in enumerate(PLACES) if number in off}.isdisjoint(values)
    assert DEFAULT.parts.off == ()


def test_difference_is_the_mean_of_the_sets_means() -> None:
    found = difference([np.array([0.1, 0.3]), np.array([0.0, 0.0, 0.0, 0.0])])
    assert found["mean"] == pytest.approx(0.1)
    assert found["by_set"] == pytest.approx([0.2, 0.0])
