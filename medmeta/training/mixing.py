"""Synthetic tasks while meta-training: a share of each batch is interpolated, supports are widened by a GAN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from medmeta.errors import TaskError
from medmeta.tasks.feature_gan import FeatureGan, augment_support
from medmeta.tasks.interpolation import interpolate
from medmeta.tasks.meta_task import FeatureTask


@dataclass(frozen=True)
class Mixing:
    """What a trainer does to a batch before it trains on it; a `medmeta.training.trainer.Mix`.

    Attributes:
        interpolation: chance that a task is mixed with another one of its batch.
        alpha: of the Beta distribution of the mixture.
        gan: makes support features of a class from those there are; None adds nothing.
        per_class: support rows the GAN adds to each class.

    Raises:
        TaskError: a chance outside [0, 1].
    """

    interpolation: float = 0.0
    alpha: float = 2.0
    gan: FeatureGan | None = field(default=None, repr=False)
    per_class: int = 5

    def __post_init__(self) -> None:
        if not 0.0 <= self.interpolation <= 1.0:
            raise TaskError(f"the share of interpolated tasks lies in [0, 1], found {self.interpolation}")

    def __call__(
        self, batch: Sequence[FeatureTask], position: int, generator: torch.Generator
    ) -> FeatureTask:
        """The task to train on in place of ``batch[position]``.

        Args:
            batch: tasks on the CPU.
            generator: CPU generator, the only source of chance.
        """
        task = batch[position]
        if len(batch) > 1 and float(torch.rand((), generator=generator)) < self.interpolation:
            other = int(torch.randint(len(batch) - 1, (), generator=generator))
            task = interpolate(task, batch[other + (other >= position)], generator, self.alpha)
        if self.gan is not None:
            task = augment_support(task, self.gan, self.per_class, generator)
        return task
