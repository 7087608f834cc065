"""Conv4, the four-block network of the few-shot papers; small enough to be trained from scratch.

Vinyals et al. 2016 (arXiv:1606.04080) and Snell et al. 2017 (arXiv:1703.05175), who flatten the last map. Here
it is averaged over space, as every backbone's is, which makes 64 features of their 1600.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor, nn

from medmeta.models.staged import StagedNetwork

CHANNELS = 64


class Conv4(StagedNetwork):
    """``forward`` maps ``(n, 3, rows, columns)`` float32, already normalised, to ``(n, 64)`` pooled features."""

    stage_names = ("conv1", "conv2", "conv3", "conv4")
    stage_channels: Mapping[str, int] = MappingProxyType(dict.fromkeys(stage_names, CHANNELS))

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(3 if first else CHANNELS, CHANNELS, 3, padding=1, bias=False),
                nn.BatchNorm2d(CHANNELS),
                nn.ReLU(),
                nn.MaxPool2d(2),
            )
            for first in (True, False, False, False)
        )

    def stage_modules(self, name: str) -> tuple[nn.Module, ...]:
        return (self.blocks[self.position(name)],)

    def run_stage(self, name: str, x: Tensor) -> Tensor:
        x = self.blocks[self.position(name)](x)
        return x
