"""FiLM from a short vector: zero is the identity bit for bit, sizes are bounded, directions orthogonal."""

from __future__ import annotations

import pytest
import torch
from tiny_network import Tiny

from medmeta.errors import ModelError
from medmeta.models.deep_film import DeepFilm

CHANNELS = {"conv2": 8, "conv3": 12}


def test_zero_changes_no_bit_of_the_network() -> None:
    network, film = Tiny(), DeepFilm(CHANNELS, 3)
    images = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    zero = {
        name: (g.float(), o.float())
        for name, (g, o) in film(torch.zeros(film.size, dtype=torch.float64)).items()
    }
    assert set(zero) == set(CHANNELS)
    with torch.no_grad():
        assert torch.equal(network.run(images, film=zero), network.run(images))


def test_gain_and_offset_are_what_the_formula_says() -> None:
    film = DeepFilm(CHANNELS, 2, bound=0.3, seed=4)
    vector = torch.tensor([1.0, -2.0, 0.5, 0.1, 3.0, 0.0, 0.0, -1.0], dtype=torch.float64)
    assert film.size == len(vector) == sum(film.group_sizes)
    v = film.get_buffer("directions_conv3")
    gain, offset = film(vector)["conv3"]
    for channel in range(12):
        assert float(gain[channel]) == pytest.approx(0.3 * float(torch.tanh(3.0 * v[0, channel])))
        assert float(offset[channel]) == pytest.approx(0.3 * float(torch.tanh(-1.0 * v[1, channel])))
    far, _ = film(1e3 * vector)["conv2"]
    assert float(far.abs().max()) <= 0.3


def test_directions_are_orthogonal_of_mean_square_one_and_seeded() -> None:
    film = DeepFilm(CHANNELS, 4, seed=2)
    for name, channels in CHANNELS.items():
        v = film.get_buffer(f"directions_{name}")
        torch.testing.assert_close(v @ v.T, channels * torch.eye(4, dtype=torch.float64))
    same, other = (DeepFilm(CHANNELS, 4, seed=seed).get_buffer("directions_conv2") for seed in (2, 3))
    assert torch.equal(same, film.get_buffer("directions_conv2"))
    assert not torch.equal(other, same)


def test_more_directions_than_channels_are_refused() -> None:
    with pytest.raises(ModelError, match="at most 8, the channels of conv2; found 9"):
        DeepFilm(CHANNELS, 9)
