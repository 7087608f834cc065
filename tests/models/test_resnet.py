"""ResNet against its formulas written out, the published names and sizes, and its own folded copy."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from medmeta.models.initialise import folded, untrained
from medmeta.models.resnet import ResNet, ResNet18, ResNet34
from medmeta.models.staged import Tail

DEPTHS = {ResNet18: (2, 2, 2, 2), ResNet34: (3, 4, 6, 3)}


def lively(kind: type[ResNet]) -> ResNet:
    """A network whose normalisation does something."""
    network = untrained(kind, 5)
    generator = torch.Generator().manual_seed(6)
    for name, value in network.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            value.normal_(0.0, 0.2, generator=generator)
        elif name.endswith("running_var") or (".bn" in f".{name}" and name.endswith("weight")):
            value.uniform_(0.5, 1.5, generator=generator)
    return network


def images(side: int = 96) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(7))


def norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    shape = (1, -1, 1, 1)
    scaled = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + 1e-5)
    return scaled * weight.view(shape) + bias.view(shape)


def paper(x: Tensor, state: dict[str, Tensor], depths: tuple[int, ...]) -> dict[str, Tensor]:
    """The maps after each of table 1's stages, straight from the published tensors' names."""
    x = norm(F.conv2d(x, state["conv1.weight"], stride=2, padding=3), state, "bn1").clamp(min=0)
    maps = {"conv1": x}
    x = F.max_pool2d(x, 3, 2, 1)
    for number, depth in enumerate(depths, start=1):
        for index in range(depth):
            at = f"layer{number}.{index}"
            stride = 2 if number > 1 and index == 0 else 1
            y = norm(F.conv2d(x, state[f"{at}.conv1.weight"], stride=stride, padding=1), state, f"{at}.bn1")
            y = norm(F.conv2d(y.clamp(min=0), state[f"{at}.conv2.weight"], padding=1), state, f"{at}.bn2")
            if stride == 2:
                shortcut = F.conv2d(x, state[f"{at}.downsample.0.weight"], stride=2)
                x = norm(shortcut, state, f"{at}.downsample.1")
            x = (y + x).clamp(min=0)
        maps[f"conv{number + 1}"] = x
    return maps


@pytest.mark.parametrize("kind", [ResNet18, ResNet34])
@torch.no_grad()
def test_every_stage_is_the_papers(kind: type[ResNet]) -> None:
    network, x = lively(kind), images()
    expected = paper(x, network.state_dict(), DEPTHS[kind])
    for name in network.stage_names:
        x = network.run_stage(name, x)
        assert x.shape[1] == network.stage_channels[name] == expected[name].shape[1]
        assert x.shape[2] == 96 // 2 ** int(name[-1])
        scale = expected[name].abs().max()
        assert torch.allclose(x, expected[name], atol=1e-5 * float(scale), rtol=1e-4)
    assert torch.equal(network(images()), x.mean(dim=(2, 3)))


@pytest.mark.parametrize(("kind", "parameters"), [(ResNet18, 11_176_512), (ResNet34, 21_284_672)])
def test_published_parameter_counts(kind: type[ResNet], parameters: int) -> None:
    assert sum(p.numel() for p in untrained(kind, 0).parameters()) == parameters


def test_published_names() -> None:
    names = set(untrained(ResNet18, 0).state_dict())
    blocks = [f"layer{layer}.{block}" for layer in (1, 2, 3, 4) for block in (0, 1)]
    norms = ["bn1", *(f"{at}.bn{i}" for at in blocks for i in (1, 2))]
    norms += [f"layer{layer}.0.downsample.1" for layer in (2, 3, 4)]
    expected = {"conv1.weight", *(f"{at}.conv{i}.weight" for at in blocks for i in (1, 2))}
    expected |= {f"layer{layer}.0.downsample.0.weight" for layer in (2, 3, 4)}
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert names == expected | {f"{at}.{part}" for at in norms for part in parts}


@pytest.mark.parametrize("kind", [ResNet18, ResNet34])
@torch.no_grad()
def test_the_folded_copy_answers_alike_and_has_no_normalisation(kind: type[ResNet]) -> None:
    network = lively(kind)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    copied = folded(network)
    expected = network(images())
    assert torch.allclose(copied(images()), expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in copied.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@torch.no_grad()
def test_a_tail_goes_on_where_the_trunk_stopped() -> None:
    network, x = lively(ResNet18), images(64)
    for start in network.stage_names:
        middle = network.run(x, stop=start)
        assert torch.equal(Tail(network, start)(middle), network(x))


@torch.no_grad()
def test_random_residuals_do_not_blow_up() -> None:
    x = images(224)
    features = untrained(ResNet34, 0).maps(x)
    assert 0.1 < float(features.std() / x.std()) < 10
