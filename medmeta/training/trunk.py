"""Supervised multi-domain training of a whole trunk: one linear head a data set, thrown away afterwards.

This is the medical half of the shipped meta-model's features; the untouched ImageNet trunk stays beside it, so what
that one knew is kept. Every data set has the same say, every class within it too, and batch normalisation keeps its
ImageNet statistics: with eight images a set a step, batch statistics would be noise (and would differ from
what an episode sees). The recipe is that of universal representations across domains (Bilen and Vedaldi 2017,
arXiv:1701.07275; Triantafillou et al. 2021, arXiv:2105.07029) with a single shared network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.errors import ModelError
from medmeta.models import weights
from medmeta.models.backbones import BackboneCard
from medmeta.models.staged import StagedNetwork
from medmeta.progress import Progress, silent
from medmeta.scans.intensity import model_image
from medmeta.scans.scan import Scan
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.training.augment import Augmentation, random_views

FORMAT = "medmeta trunk checkpoint 1"


@dataclass(frozen=True)
class TrunkSettings:
    """How a trunk is trained.

    Attributes:
        steps: updates of the trunk.
        per_set: images of each data set in a step.
        side: rows and columns the trunk is trained at, in pixels; the features are then read at a larger side, which
            suits crops that show objects enlarged (Touvron et al. 2019, arXiv:1906.06423).
        rate, head_rate: AdamW's learning rates of trunk and heads, with a warm-up and a cosine decay.
        weight_decay: of trunk and heads.
        smoothing: label smoothing.
        dropout: on the features, before the heads.
        clip: largest norm of the trunk's gradient.
        warm_up: steps until the rates are reached.
        augmentation: of every image drawn.
        seed: of draws, views and dropout.
    """

    steps: int = 300
    per_set: int = 8
    side: int = 128
    rate: float = 3e-4
    head_rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    dropout: float = 0.2
    clip: float = 5.0
    warm_up: int = 50
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class PixelSet:
    """A data set as the trunk reads it: ``images (n, 3, s, s)`` uint8, ``targets (n,)`` int64, C classes."""

    name: str
    images: Tensor
    targets: NDArray[np.int64]
    classes: int


def pixel_set(data: LabelledSet, side: int) -> PixelSet:
    """Every scan of a data set at one size, with the intensity the model sees.

    Args:
        data: a data set of scans.
        side: rows and columns, in pixels.
    """
    images = torch.empty(len(data.items), 3, side, side, dtype=torch.uint8)
    for position, scan in enumerate(data.items):
        assert isinstance(scan, Scan)
        images[position] = torch.from_numpy(np.rint(model_image(scan, side) * 255).astype(np.uint8))
    return PixelSet(data.name, images, data.targets, len(data.classes))


def train_trunk(
    network: StagedNetwork,
    card: BackboneCard,
    sets: Sequence[PixelSet],
    settings: TrunkSettings,
    *,
    checkpoint: Path | None = None,
    every: int = 100,
    progress: Progress = silent,
) -> list[float]:
    """Train ``network`` in place on the CPU or wherever it lies.

    Args:
        network: a pretrained trunk with its batch normalisation; folding it first trains twice as fast but lost most of
            what the trunk knew at this rate.
        card: its card (normalisation).
        sets: the data sets, each with a head of its own.
        checkpoint: safetensors file written every ``every`` steps; an existing one is taken up where it stopped.
        progress: told every step; may raise `CancelledError`.

    Returns:
        the loss of each step taken now, averaged over the data sets.

    Raises:
        ModelError: ``checkpoint`` was altered, or is of another format.
    """
    device = next(network.parameters()).device
    network.train()  # batch normalisation stays in eval mode
    heads = nn.ModuleList([nn.Linear(_features(network), data.classes) for data in sets]).to(device)
    for parameter in heads.parameters():
        nn.init.zeros_(parameter)
    optimiser = torch.optim.AdamW(
        [
            {"params": list(network.parameters()), "lr": settings.rate},
            {"params": list(heads.parameters()), "lr": settings.head_rate},
        ],
        weight_decay=settings.weight_decay,
    )
    draw = ClassDraw(sets, settings.per_set)
    first = _restore(checkpoint, network, heads, optimiser)
    losses = []
    for step in range(first, settings.steps):
        chance = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        factor = learning_rate_factor(step, settings)
        for group, rate in zip(optimiser.param_groups, (settings.rate, settings.head_rate), strict=True):
            group["lr"] = rate * factor
        images, targets = draw(np.random.default_rng((settings.seed, step)))
        x = random_views(images.float() / 255, settings.side, chance, settings.augmentation)
        x = card.normalise(x).to(device).contiguous(memory_format=torch.channels_last)
        keep = (torch.rand(len(x), _features(network), generator=chance) >= settings.dropout).to(device)
        z = network(x) * keep / (1 - settings.dropout)
        loss = torch.stack(
            [
                F.cross_entropy(head(part), target.to(device), label_smoothing=settings.smoothing)
                for head, part, target in zip(heads, z.split(settings.per_set), targets, strict=True)
            ]
        ).sum()
        optimiser.zero_grad()
        torch.autograd.backward([loss])
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimiser.step()
        losses.append(loss.item() / len(sets))
        if checkpoint is not None and ((step + 1) % every == 0 or step + 1 == settings.steps):
            _save(checkpoint, network, heads, optimiser, step + 1)
        progress((step + 1) / settings.steps, f"Step {step + 1} of {settings.steps}, loss {losses[-1]:.3f}")
    network.eval()
    return losses


def learning_rate_factor(step: int, settings: TrunkSettings) -> float:
    """Linear warm-up times a half cosine (Loshchilov and Hutter 2017, arXiv:1608.03983), in (0, 1]."""
    return min(1.0, (step + 1) / settings.warm_up) * 0.5 * (1 + math.cos(math.pi * step / settings.steps))


class ClassDraw:
    """Draws ``per_set`` images of every data set, its classes in turn as evenly as they go."""

    def __init__(self, sets: Sequence[PixelSet], per_set: int) -> None:
        self._sets = sets
        self._per_set = per_set
        self._members = [
            [np.flatnonzero(data.targets == target) for target in range(data.classes)] for data in sets
        ]

    def __call__(self, random: np.random.Generator) -> tuple[Tensor, list[Tensor]]:
        images, targets = [], []
        for data, members in zip(self._sets, self._members, strict=True):
            # In another order each time, so that no class is always the one drawn once more.
            order = random.permutation(data.classes)
            turns = order[np.arange(self._per_set) % data.classes]
            chosen = [int(random.choice(members[c])) for c in turns]
            images.append(data.images[chosen])
            targets.append(torch.from_numpy(data.targets[chosen]))
        return torch.cat(images), targets


def _features(network: StagedNetwork) -> int:
    return network.stage_channels[network.stage_names[-1]]


def _save(
    path: Path, network: nn.Module, heads: nn.Module, optimiser: torch.optim.Optimizer, step: int
) -> None:
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"heads.{k}": v for k, v in heads.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{k}": v for k, v in state.items()}
    weights.write(
        path,
        {k: v.contiguous() for k, v in tensors.items()},
        {"format": FORMAT, "step": step},
    )


def _restore(
    path: Path | None, network: nn.Module, heads: nn.Module, optimiser: torch.optim.Optimizer
) -> int:
    if path is None or not path.exists():
        return 0
    tensors, card = weights.read(path)
    if card.get("format") != FORMAT:
        raise ModelError(f"{path.name} is no checkpoint of a trunk in training; train into another file")
    network.load_state_dict({k[8:]: v for k, v in tensors.items() if k.startswith("network.")})
    heads.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("heads.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return int(card["step"])
