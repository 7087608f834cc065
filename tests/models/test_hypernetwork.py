"""The hypernetwork generates nothing untrained, and never more than its bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from medmeta.models.hypernetwork import Hypernetwork

DESCRIPTOR = torch.tensor(np.random.default_rng(0).normal(size=8))


@pytest.fixture
def network() -> Hypernetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Hypernetwork(8, 5, 3, bound=0.4)


def test_untrained_it_generates_nothing(network: Hypernetwork) -> None:
    found = network(DESCRIPTOR)
    assert found.start.tolist() == [0.0] * 5
    assert found.log_rates.tolist() == [0.0] * 3


def test_it_can_leave_zero(network: Hypernetwork) -> None:
    (slope,) = torch.autograd.grad(network(DESCRIPTOR).start.sum(), network.out.weight)
    assert slope[:5].abs().max() > 0.0
    assert torch.equal(slope[5:], torch.zeros_like(slope[5:]))


@pytest.mark.parametrize(("gate", "factor"), [(0.0, 1.0), (1e3, 2.0), (-1e3, 0.0)])
def test_large_weights_meet_the_bound(network: Hypernetwork, gate: float, factor: float) -> None:
    nn.init.normal_(network.out.weight, std=1e4, generator=torch.Generator().manual_seed(0))
    nn.init.constant_(network.gate, gate)
    found = network(DESCRIPTOR)
    np.testing.assert_allclose(found.start.detach().abs(), 0.4 * factor, rtol=1e-6)
    np.testing.assert_allclose(found.log_rates.detach().abs(), factor, rtol=1e-6)


def test_another_descriptor_gives_another_start(network: Hypernetwork) -> None:
    nn.init.normal_(network.out.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    assert (network(DESCRIPTOR).start - network(-DESCRIPTOR).start).abs().max() > 1e-3
