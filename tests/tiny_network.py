"""A real but tiny staged backbone, and scans whose classes it can tell apart, for tests that change the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from medmeta.models.backbones import CARDS, Backbone
from medmeta.models.features import FeatureExtractor
from medmeta.models.staged import StagedNetwork
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.task import Task, make_task

SIDE, FEATURES = 16, 12


class Tiny(StagedNetwork):
    """Three stages of one convolution each; smooth, so that finite differences hold."""

    stage_names = ("conv1", "conv2", "conv3")
    stage_channels = {"conv1": 6, "conv2": 8, "conv3": FEATURES}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 6, 8, FEATURES)
        self.convolutions = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.Tanh()) for a, b in pairwise(widths)
        )
        random = torch.Generator().manual_seed(0)
        for value in self.parameters():
            value.data = torch.randn(value.shape, generator=random) / max(value[0].numel(), 4) ** 0.5

    def stage_modules(self, name: str) -> tuple[nn.Module, ...]:
        return (self.convolutions[self.position(name)],)

    def run_stage(self, name: str, x: Tensor) -> Tensor:
        found: Tensor = self.stage_modules(name)[0](x)
        return found


def tiny_backbone() -> Backbone:
    card = replace(
        CARDS["efficientnet_lite0"], name="tiny", build=Tiny, side=SIDE, features=FEATURES, mean=0.5, std=0.25
    )
    return Backbone(card, Tiny().eval().requires_grad_(False), "1" * 64)


def tiny_extractor() -> FeatureExtractor:
    return FeatureExtractor(tiny_backbone(), torch.device("cpu"))


#: Mean red, green and blue of each kind of scan; even untrained convolutions tell colours apart.
COLOURS = ((190, 70, 70), (70, 190, 70), (70, 70, 190), (190, 190, 70))


def scan(kind: int, number: int, group: str | None = None) -> Scan:
    """A noisy patch of the kind's colour; the number decides the noise and how bright it is."""
    random = np.random.default_rng((kind, number))
    noisy = np.array(COLOURS[kind]) + random.normal(0, 30) + random.normal(0, 30, (20, 20, 3))
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)[None]
    return Scan(f"{kind}-{number}", pixels, group or f"g{number}")


def task(names: Iterable[str] = ("a", "b", "c"), shots: int = 5, first: int = 0) -> Task:
    return make_task(
        LabelledScan(scan(kind, first + 100 * kind + i), name)
        for kind, name in enumerate(names)
        for i in range(shots)
    )
