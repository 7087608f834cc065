"""Conv4 against its formulas written out, and its seed."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from medmeta.models.conv4 import Conv4
from medmeta.models.initialise import folded, untrained


def lively() -> Conv4:
    network = untrained(Conv4, 1)
    generator = torch.Generator().manual_seed(2)
    for block in network.blocks:
        block[1].running_mean.normal_(0.0, 0.3, generator=generator)
        block[1].running_var.uniform_(0.5, 2.0, generator=generator)
    return network


@torch.no_grad()
def test_four_blocks_of_64_channels() -> None:
    network = lively()
    # 3x3 kernels without a bias, and a scale and an offset for each of 64 channels
    assert sum(p.numel() for p in network.parameters()) == 9 * 64 * (3 + 3 * 64) + 4 * 2 * 64
    images = x = torch.randn(2, 3, 84, 84, generator=torch.Generator().manual_seed(3))
    for name, side in zip(network.stage_names, (42, 21, 10, 5), strict=True):
        conv, norm = network.stage_modules(name)[0][:2]
        y = F.conv2d(x, conv.weight, padding=1)
        y = (y - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + 1e-5).sqrt()
        expected = F.max_pool2d(y.clamp(min=0), 2)
        x = network.run_stage(name, x)
        assert x.shape == (2, 64, side, side)
        assert network.stage_channels[name] == 64
        assert torch.allclose(x, expected, atol=1e-4)
    assert torch.equal(network(images), x.mean(dim=(2, 3)))
    assert torch.allclose(folded(network)(images), network(images), atol=1e-4)


def test_the_seed_alone_decides_the_start() -> None:
    state = torch.get_rng_state()
    first, again, other = untrained(Conv4, 4), untrained(Conv4, 4), untrained(Conv4, 5)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in first.named_parameters():
        assert torch.equal(value, again.get_parameter(name))
    assert not torch.equal(first.blocks[0][0].weight, other.blocks[0][0].weight)
    spread = first.blocks[2][0].weight.std().item()
    assert abs(spread / (2 / (9 * 64)) ** 0.5 - 1) < 0.02  # He's: sqrt(2 / fan in)
