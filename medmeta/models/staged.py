"""What every backbone offers: named stages that run one after the other, and the tail from one of them on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from medmeta.errors import ModelError
from medmeta.models.map_statistics import map_statistics, statistic_sizes

#: Stages, counted from the last, whose maps are summed up by :meth:`StagedNetwork.statistics`.
POOLED_STAGES = 4
#: Per-channel gain and offset, ``(C,)`` each, applied to a stage's output map: ``x * (1 + gain) + offset``.
Film = tuple[Tensor, Tensor]


class StagedNetwork(nn.Module):
    """A convolutional trunk cut into named stages (``conv1``, ``conv2``, ...), the last one pooled over space.

    Stages follow the stride, as a ResNet's do (He et al. 2015, arXiv:1512.03385, table 1): ``conv3`` works at an
    eighth of the input's side whatever the network.
    """

    #: names of the stages, in the order of computation.
    stage_names: tuple[str, ...]
    #: channels of each stage's output map.
    stage_channels: Mapping[str, int]

    @abstractmethod
    def run_stage(self, name: str, x: Tensor) -> Tensor:
        """One stage: ``(n, C, rows, columns)`` to ``(n, C', rows', columns')``."""

    def run(
        self,
        x: Tensor,
        start: str | None = None,
        stop: str | None = None,
        film: Mapping[str, Film] | None = None,
    ) -> Tensor:
        """Run the stages from ``start`` (default: the first) up to, not including, ``stop`` (default: to the end).

        Args:
            x: images, or the map that ``start`` takes.
            film: gains and offsets after the named stages (Perez et al. 2018, arXiv:1709.07871).

        Returns:
            the map that ``stop`` takes; without ``stop`` the features ``(n, D)``, averaged over space.

        Raises:
            ModelError: no such stage.
        """
        first = 0 if start is None else self.position(start)
        last = len(self.stage_names) if stop is None else self.position(stop)
        for name in self.stage_names[first:last]:
            x = self.run_stage(name, x)
            if film is not None and name in film:
                gain, offset = film[name]
                x = x * (1.0 + gain)[:, None, None] + offset[:, None, None]
        return x.mean(dim=(2, 3)) if stop is None else x

    @property
    def statistic_sizes(self) -> tuple[int, ...]:
        """Lengths of the blocks of :meth:`statistics`."""
        names = reversed(self.stage_names[-POOLED_STAGES:])
        return tuple(size for name in names for size in statistic_sizes(self.stage_channels[name]))

    def statistics(self, x: Tensor) -> Tensor:
        """`map_statistics` of the last stages' maps, the last stage's first; earlier stages see finer detail.

        The first block is what :meth:`forward` gives.

        Returns:
            ``(n, sum of statistic_sizes)``.
        """
        found: list[Tensor] = []
        for name in self.stage_names:
            x = self.run_stage(name, x)
            if name in self.stage_names[-POOLED_STAGES:]:
                found = [*map_statistics(x), *found]
        return torch.cat(found, dim=1)

    def maps(self, x: Tensor) -> Tensor:
        """The last stage's map, before averaging over space."""
        for name in self.stage_names:
            x = self.run_stage(name, x)
        return x

    def position(self, name: str) -> int:
        """Index of a stage among :attr:`stage_names`.

        Raises:
            ModelError: no such stage.
        """
        try:
            return self.stage_names.index(name)
        except ValueError:
            raise ModelError(
                f"{type(self).__name__} has no stage called {name!r}; there are: {', '.join(self.stage_names)}"
            ) from None

    @abstractmethod
    def stage_modules(self, name: str) -> tuple[nn.Module, ...]:
        """The modules that hold a stage's parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """``(n, 3, rows, columns)`` normalised images to ``(n, D)`` features."""
        return self.run(x)

    def train(self, mode: bool = True) -> StagedNetwork:
        """Batch normalisation stays in eval mode: an episode's own statistics would leak from query to query."""
        super().train(mode)
        _keep_statistics(self)
        return self


class Tail(nn.Module):
    """The stages from ``start`` on, as a network of its own: ``(n, C, rows, columns)`` maps to ``(n, D)`` features."""

    def __init__(self, network: StagedNetwork, start: str) -> None:
        super().__init__()
        self.start = start
        names = network.stage_names[network.position(start) :]
        self.stages = nn.ModuleDict({name: nn.ModuleList(network.stage_modules(name)) for name in names})

    def forward(self, maps: Tensor) -> Tensor:
        x = maps
        for modules in self.stages.values():
            assert isinstance(modules, nn.ModuleList)
            for module in modules:
                x = module(x)
        return torch.mean(x, dim=(2, 3))

    def train(self, mode: bool = True) -> Tail:
        """As `StagedNetwork.train`."""
        super().train(mode)
        _keep_statistics(self)
        return self


def _keep_statistics(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
