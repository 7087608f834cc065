"""The shipped meta-model's recipe in feature space: from data sets with features to a trained `MetaModel`.

Settings are in `Recipe`; its defaults are what the shipped model was trained with. They were chosen by leaving out
whole data sets (`benchmarks.train_meta_model`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medmeta.models.feature_space import embed, within_class_basis
from medmeta.models.meta_model import MetaModel, Parts
from medmeta.progress import Progress, silent
from medmeta.tasks.builder import TaskDistributionBuilder
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import MetaTask
from medmeta.training.loop import TrainingReport
from medmeta.training.tensors import FeatureBank
from medmeta.training.trainer import MetaTrainer


@dataclass(frozen=True)
class Recipe:
    """How a meta-model is trained above given features.

    Attributes:
        rank: directions of the within-class basis.
        bound: largest generated change, on a log scale.
        parts: which parts are on.
        shots, ways: what tasks choose from.
        sampler: name of the task sampler.
        epochs, tasks_per_epoch, tasks_per_batch: length of the training.
        meta_lr, weight_decay: of the outer AdamW.
        seed: of everything random.
    """

    rank: int = 64
    bound: float = 0.5
    parts: Parts = field(default_factory=Parts)
    shots: tuple[int, ...] = (1, 5, 5, 10)
    ways: tuple[int | str, ...] = (3, 5, "all", "all")
    sampler: str = "uniform"
    epochs: int = 4
    tasks_per_epoch: int = 120
    tasks_per_batch: int = 4
    meta_lr: float = 2e-3
    weight_decay: float = 1e-4
    seed: int = 0

    @property
    def param_space(self) -> dict[str, Any]:
        return {"num_classes": list(self.ways), "shots": list(self.shots), "class_balance": [0.6, 1.0]}


def start_model(
    sets: Sequence[LabelledSet], features: Mapping[str, Tensor], blocks: Sequence[int], recipe: Recipe
) -> MetaModel:
    """The untrained model: centre and within-class basis in closed form, everything learned at zero.

    Args:
        sets: the meta-train sets.
        features: raw statistics ``(n, D)`` of each, by name.
        blocks: lengths of their blocks.
    """
    centre = torch.stack([features[each.name].to(torch.float64).mean(dim=0) for each in sets]).mean(dim=0)
    embedded = [
        (embed(features[each.name], blocks, centre), torch.as_tensor(each.targets.copy())) for each in sets
    ]
    basis, variances = within_class_basis(embedded, recipe.rank)
    return MetaModel(
        blocks, centre, basis, variances, parts=recipe.parts, bound=recipe.bound, seed=recipe.seed
    )


def train_model(
    sets: Sequence[LabelledSet],
    features: Mapping[str, Tensor],
    blocks: Sequence[int],
    recipe: Recipe,
    out: Path,
    *,
    validation: Sequence[MetaTask] = (),
    held_out: Sequence[LabelledSet] = (),
    progress: Progress = silent,
) -> tuple[MetaModel, TrainingReport]:
    """Meta-train on ``sets``; an interrupted training into ``out`` goes on where it stopped.

    Args:
        sets: the meta-train sets, with raw statistics in ``features``.
        validation, held_out: fixed tasks of data sets that are not trained on, and those sets; the best epoch on
            them is kept. Without any the last epoch is.
    """
    model = start_model(sets, features, blocks, recipe)
    everything = [*sets, *held_out]
    rows = {each.name: model.embed(features[each.name]).float() for each in everything}
    builder = TaskDistributionBuilder(
        list(sets),
        recipe.param_space,
        recipe.tasks_per_epoch,
        queries=10,
        sampler=recipe.sampler,
        seed=recipe.seed,
        tasks_per_batch=recipe.tasks_per_batch,
    )
    trainer = MetaTrainer(
        model,
        recipe.parts.steps,
        recipe.meta_lr,
        weight_decay=recipe.weight_decay,
        patience=recipe.epochs,
        seed=recipe.seed,
        device="cpu",
    )
    report = trainer.fit(
        builder,
        FeatureBank(everything, rows),
        epochs=recipe.epochs,
        out=out,
        validation=validation,
        progress=progress,
    )
    return model.eval(), report
