"""What is kept of a map, against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct

from medmeta.models.map_statistics import DIRECTIONS, cosines, map_statistics, statistic_sizes, windows


@pytest.mark.parametrize("channels", [1, 5, DIRECTIONS, 50])
def test_against_numpy(channels: int) -> None:
    maps = torch.randn(3, channels, 7, 14, generator=torch.Generator().manual_seed(0))
    mean, deviation, pairs = (found.double().numpy() for found in map_statistics(maps))
    for number, one in enumerate(maps.double().numpy()):
        np.testing.assert_allclose(mean[number], one.mean(axis=(1, 2)), atol=1e-6)
        parts = [one[:, a : a + 4, b : b + 8] for a in (0, 2, 3) for b in (0, 3, 6)]
        flat = [part.reshape(channels, 32) for part in parts]
        np.testing.assert_allclose(
            deviation[number], np.mean([c.std(axis=1) for c in flat], axis=0), atol=1e-6
        )
        rows = [c if channels <= DIRECTIONS else dct(c, axis=0, norm="ortho")[:DIRECTIONS] for c in flat]
        upper = np.triu_indices(min(channels, DIRECTIONS))
        covariances = [np.atleast_2d(np.cov(c, bias=True))[upper] for c in rows]
        roots = np.mean([np.sign(c) * np.sqrt(np.abs(c)) for c in covariances], axis=0)
        np.testing.assert_allclose(pairs[number], roots, atol=1e-4)
    assert statistic_sizes(channels) == tuple(found.shape[1] for found in map_statistics(maps))


@pytest.mark.parametrize("side", [1, 2, 3, 28])
def test_windows_reach_every_edge(side: int) -> None:
    maps = torch.arange(side * side, dtype=torch.float32).view(1, 1, side, side)
    found = windows(maps)
    assert len(found) == 9
    assert set(found.flatten().tolist()) >= {0, side - 1, side * (side - 1), side * side - 1}


def test_a_scan_alone_has_the_statistics_it_has_among_others() -> None:
    maps = torch.randn(3, 40, 7, 7, generator=torch.Generator().manual_seed(2))
    for together, alone in zip(map_statistics(maps), map_statistics(maps[1:2]), strict=True):
        torch.testing.assert_close(together[1:2], alone)


def test_a_mirrored_map_has_the_same_statistics() -> None:
    maps = torch.randn(2, 40, 14, 28, generator=torch.Generator().manual_seed(1))
    for found, again in zip(map_statistics(maps), map_statistics(maps.flip(-1).mT), strict=True):
        torch.testing.assert_close(found, again, atol=1e-3, rtol=1e-4)


def test_a_constant_map_has_no_spread() -> None:
    mean, deviation, pairs = map_statistics(torch.full((1, 40, 3, 3), 0.25))
    assert torch.equal(mean, torch.full((1, 40), 0.25))
    assert not deviation.any()
    assert not pairs.any()


def test_cosines_are_orthonormal() -> None:
    found = cosines(50, 32)
    torch.testing.assert_close(found @ found.T, torch.eye(32, dtype=torch.float64))
