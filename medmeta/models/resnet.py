"""ResNet-18 and ResNet-34 (He et al. 2015, arXiv:1512.03385) in plain torch, without the ImageNet classifier.

Parameters carry the names under which the published weights travel (``conv1``, ``layer1.0.bn2``, ...), so that
these load as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.models.staged import StagedNetwork

#: Output channels of ``conv2`` to ``conv5`` (table 1 of the paper); the stem has as many as ``conv2``.
WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, which is a strided 1 x 1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(StagedNetwork):
    """A ResNet of basic blocks.

    ``forward`` maps ``(n, 3, rows, columns)`` float32, already normalised, to ``(n, 512)`` pooled features. The
    stages are the paper's: the stem is ``conv1``, and max pooling opens ``conv2``.
    """

    stage_names = ("conv1", "conv2", "conv3", "conv4", "conv5")
    stage_channels: Mapping[str, int] = MappingProxyType(
        dict(zip(stage_names, (WIDTHS[0], *WIDTHS), strict=True))
    )
    #: blocks in each of ``conv2`` to ``conv5``.
    depths: tuple[int, int, int, int]

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(WIDTHS[0], WIDTHS[0], self.depths[0], stride=1)
        self.layer2 = _layer(WIDTHS[0], WIDTHS[1], self.depths[1], stride=2)
        self.layer3 = _layer(WIDTHS[1], WIDTHS[2], self.depths[2], stride=2)
        self.layer4 = _layer(WIDTHS[2], WIDTHS[3], self.depths[3], stride=2)

    def stage_modules(self, name: str) -> tuple[nn.Module, ...]:
        return (
            (self.conv1, self.bn1, self.relu),
            (self.maxpool, self.layer1),
            (self.layer2,),
            (self.layer3,),
            (self.layer4,),
        )[self.position(name)]

    def run_stage(self, name: str, x: Tensor) -> Tensor:
        for module in self.stage_modules(name):
            x = module(x)
        return x


def _layer(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))


class ResNet18(ResNet):
    """11,176,512 parameters."""

    depths = (2, 2, 2, 2)


class ResNet34(ResNet):
    """21,284,672 parameters."""

    depths = (3, 4, 6, 3)
