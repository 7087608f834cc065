"""EfficientNet-Lite0 in plain torch, with the padding of its TensorFlow original.

Lite0 drops squeeze-and-excitation and swish from EfficientNet-B0 (Tan and Le 2019, arXiv:1905.11946) in
favour of ReLU6, which keeps it quick on a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.models.staged import StagedNetwork

#: (repeats, kernel, stride, expansion, output channels) of each stage; Lite0 keeps B0's.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
#: Which of them make up each named stage; the stem opens the first and the 1 x 1 head closes the last.
STAGE_BLOCKS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"conv1": (0, 1), "conv2": (1, 2), "conv3": (2, 3), "conv4": (3, 5), "conv5": (5, 6), "conv6": (6, 7)}
)
STEM_CHANNELS = 32
FEATURES = 1280


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's ``SAME`` padding: the odd pixel of padding goes right and below."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(
            reversed(x.shape[-2:]), reversed(self.kernel_size), reversed(self.stride), strict=True
        ):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        if len(set(pads)) == 1:  # symmetric: let the convolution pad, which copies nothing
            return F.conv2d(x, self.weight, self.bias, self.stride, pads[0], self.dilation, self.groups)
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and, where asked for, ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        self.conv: nn.Conv2d = SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return F.relu6(x, inplace=not torch.is_grad_enabled()) if self.relu else x


class Block(nn.Module):
    """Inverted residual (Sandler et al. 2018, arXiv:1801.04381)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = ConvNorm(inputs, wide) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(wide, wide, kernel, stride, groups=wide)
        self.project = ConvNorm(wide, outputs, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite0(StagedNetwork):
    """The trunk, without the ImageNet classifier.

    ``forward`` maps ``(n, 3, rows, columns)`` float32, already normalised, to ``(n, 1280)`` pooled features.
    """

    stage_names = tuple(STAGE_BLOCKS)
    stage_channels = MappingProxyType(
        {name: FEATURES if last == 7 else STAGES[last - 1][4] for name, (_, last) in STAGE_BLOCKS.items()}
    )

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM_CHANNELS, kernel=3, stride=2)
        stages = []
        channels = STEM_CHANNELS
        for repeats, kernel, stride, expansion, outputs in STAGES:
            blocks = [Block(channels, outputs, kernel, stride, expansion)]
            blocks += [Block(outputs, outputs, kernel, 1, expansion) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*blocks))
            channels = outputs
        self.stages = nn.ModuleList(stages)
        self.head = ConvNorm(channels, FEATURES)

    def stage_modules(self, name: str) -> tuple[nn.Module, ...]:
        first, last = STAGE_BLOCKS[name]
        blocks = tuple(self.stages[first:last])
        return (
            *((self.stem,) if first == 0 else ()),
            *blocks,
            *((self.head,) if last == len(STAGES) else ()),
        )

    def run_stage(self, name: str, x: Tensor) -> Tensor:
        for module in self.stage_modules(name):
            x = module(x)
        return x


class FoldedEfficientNetLite0(EfficientNetLite0):
    """The trunk with batch normalisation folded into its convolutions, as it is trained on medical data sets."""

    def __init__(self) -> None:
        super().__init__()
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.conv.bias = nn.Parameter(torch.zeros(module.conv.out_channels))
                module.norm = nn.Identity()
