"""Staged networks: statistics by stage, running in parts, gains and offsets, and batch normalisation at rest."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_network import Tiny
from torch import Tensor, nn

from medmeta.errors import ModelError
from medmeta.models.map_statistics import map_statistics
from medmeta.models.staged import POOLED_STAGES, StagedNetwork, Tail

WIDTHS = (3, 4, 5, 6, 7, 8, 9)


class Long(StagedNetwork):
    """Six stages, two more than the statistics sum up, with batch normalisation."""

    stage_names = tuple(f"conv{i}" for i in range(1, 7))
    stage_channels = dict(zip(stage_names, WIDTHS[1:], strict=True))  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 1, 1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in pairwise(WIDTHS)
        )
        random = torch.Generator().manual_seed(0)
        for value in self.parameters():
            value.data = torch.randn(value.shape, generator=random) / max(value[0].numel(), 4) ** 0.5

    def stage_modules(self, name: str) -> tuple[nn.Module, ...]:
        return (self.stages[self.position(name)],)

    def run_stage(self, name: str, x: Tensor) -> Tensor:
        found: Tensor = self.stage_modules(name)[0](x)
        return found


@pytest.fixture(params=[Tiny, Long])
def network(request: pytest.FixtureRequest) -> StagedNetwork:
    made: StagedNetwork = request.param()
    return made.eval().requires_grad_(False)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 9, 12, generator=torch.Generator().manual_seed(1))


def test_statistics_are_those_of_the_last_stages_maps(network: StagedNetwork, images: Tensor) -> None:
    expected, x = [], images
    for name in network.stage_names:
        x = network.run_stage(name, x)
        expected.append(map_statistics(x))
    joined = [block for stage in expected[-POOLED_STAGES:][::-1] for block in stage]
    assert torch.equal(network.statistics(images), torch.cat(joined, dim=1))
    assert network.statistic_sizes == tuple(block.shape[1] for block in joined)


def test_their_first_block_is_what_forward_gives(network: StagedNetwork, images: Tensor) -> None:
    assert torch.equal(network.statistics(images)[:, : network.statistic_sizes[0]], network(images))
    assert torch.equal(network.maps(images).mean(dim=(2, 3)), network(images))


def test_running_in_two_parts_is_running_once(network: StagedNetwork, images: Tensor) -> None:
    whole = network(images)
    for name in network.stage_names:
        maps = network.run(images, stop=name)
        assert torch.equal(network.run(maps, start=name), whole)
        assert torch.equal(Tail(network, name)(maps), whole)
    assert torch.equal(network.run(images, stop=network.stage_names[0]), images)


def test_a_tail_holds_the_later_stages_parameters_alone(network: StagedNetwork) -> None:
    held = {id(value) for value in Tail(network, "conv2").parameters()}
    later = {
        id(value)
        for name in network.stage_names[1:]
        for module in network.stage_modules(name)
        for value in module.parameters()
    }
    assert held == later


def test_a_film_of_zeros_changes_nothing(network: StagedNetwork, images: Tensor) -> None:
    film = {name: (torch.zeros(c), torch.zeros(c)) for name, c in network.stage_channels.items()}
    assert torch.equal(network.run(images, film=film), network(images))
    assert torch.equal(network.run(images, film={}), network(images))


def test_a_film_scales_and_shifts_each_channel(network: StagedNetwork, images: Tensor) -> None:
    name, after = network.stage_names[1:3]
    count = network.stage_channels[name]
    gain, offset = torch.linspace(-0.5, 0.5, count), torch.linspace(1, 2, count)
    plain, found = (
        network.run(images, stop=after),
        network.run(images, stop=after, film={name: (gain, offset)}),
    )
    for channel in range(count):
        expected = plain[:, channel] * (1 + gain[channel]) + offset[channel]
        torch.testing.assert_close(found[:, channel], expected)
    torch.testing.assert_close(
        network.run(images, film={name: (gain, offset)}), network.run(found, start=after)
    )


def test_training_leaves_batch_statistics_alone_in_network_and_tail(images: Tensor) -> None:
    network = Long()
    tail = Tail(network, "conv3")
    maps = network.eval().run(images, stop="conv3")
    before, rested = {k: v.clone() for k, v in network.state_dict().items()}, tail(maps)
    assert tail.train() is tail
    assert network.train() is network
    assert network.training
    assert tail.training
    network(images)
    np.testing.assert_array_equal(tail(maps).detach(), rested.detach())
    np.testing.assert_allclose(tail(maps[:1]).detach(), rested[:1].detach(), atol=1e-6)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_an_unknown_stage_is_named(network: StagedNetwork, images: Tensor) -> None:
    for call in (
        lambda: network.run(images, start="fc"),
        lambda: network.run(images, stop="fc"),
        lambda: Tail(network, "fc"),
    ):
        with pytest.raises(ModelError, match="'fc'; there are: conv1"):
            call()
