"""What is kept of a map, against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct

from medmeta.models.map_statistics import DIRECTIONS, cosines, map_statistics, statistic_sizes


@pytest.mark.parametrize("channels", [1, 5, DIRECTIONS, 50])
def test_against_numpy(channels: int) -> None:
    maps = torch.randn(3, channels, 6, 7, generator=torch.Generator().manual_seed(0))
    mean, deviation, largest, pairs = (found.double().numpy() for found in map_statistics(maps))
    for number, one in enumerate(maps.double().numpy().reshape(3, channels, 42)):
        np.testing.assert_allclose(mean[number], one.mean(axis=1), atol=1e-6)
        np.testing.assert_allclose(deviation[number], one.std(axis=1), atol=1e-6)
        np.testing.assert_array_equal(largest[number], one.max(axis=1))
        rows = one if channels <= DIRECTIONS else dct(one, axis=0, norm="ortho")[:DIRECTIONS]
        covariance = np.atleast_2d(np.cov(rows, bias=True))[np.triu_indices(len(rows))]
        np.testing.assert_allclose(np.sign(pairs[number]) * pairs[number] ** 2, covariance, atol=1e-5)
    assert statistic_sizes(channels) == tuple(found.shape[1] for found in map_statistics(maps))


def test_where_a_finding_lies_does_not_matter() -> None:
    maps = torch.randn(2, 40, 6, 6, generator=torch.Generator().manual_seed(1))
    moved = maps.flip(-1).roll(2, dims=2)
    for found, again in zip(map_statistics(maps), map_statistics(moved), strict=True):
        torch.testing.assert_close(found, again, atol=1e-3, rtol=1e-4)


def test_a_constant_map_has_no_spread() -> None:
    mean, deviation, largest, pairs = map_statistics(torch.full((1, 40, 3, 3), 0.25))
    assert torch.equal(mean, largest)
    assert not deviation.any()
    assert not pairs.any()


def test_cosines_are_orthonormal() -> None:
    found = cosines(50, 32)
    torch.testing.assert_close(found @ found.T, torch.eye(32, dtype=torch.float64))
