"""The MAML family's recipe: from data sets with input maps to a meta-trained tail, as the baselines are shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from medmeta.errors import ModelError
from medmeta.models.backbones import Backbone
from medmeta.progress import Progress, silent
from medmeta.tasks.builder import TaskDistributionBuilder
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import MetaTask
from medmeta.training.loop import TrainingReport
from medmeta.training.maml import Anil, Fomaml, Maml, Reptile
from medmeta.training.tensors import FeatureBank
from medmeta.training.trainer import MetaTrainer

FAMILY: Mapping[str, type[Maml]] = MappingProxyType(
    {each.method: each for each in (Maml, Fomaml, Anil, Reptile)}
)


@dataclass(frozen=True)
class FamilyRecipe:
    """How a member of the family is trained.

    Attributes:
        param_space: what tasks choose from; by default up to five ways of five shots.
        queries: query rows a class.
        inner_steps: steps of the inner loop.
        epochs, tasks_per_epoch, tasks_per_batch: length of the training.
        meta_lr, weight_decay: of the outer AdamW; the tail begins pretrained, so it moves in small steps.
        seed: of everything random.
    """

    param_space: Mapping[str, Any] = field(default_factory=lambda: {"num_classes": [5], "shots": [5]})
    queries: int = 10
    inner_steps: int = 5
    epochs: int = 20
    tasks_per_epoch: int = 40
    tasks_per_batch: int = 4
    meta_lr: float = 3e-5
    weight_decay: float = 1e-4
    seed: int = 0


def start_family(method: str, backbone: Backbone, recipe: FamilyRecipe, start: str | None = None) -> Maml:
    """The untrained model of that method over the backbone's stages from ``start`` (default: the last one) on.

    Raises:
        ModelError: no such method or stage.
    """
    if method not in FAMILY:
        raise ModelError(f"the MAML family has no {method!r}; there are: {', '.join(FAMILY)}")
    return FAMILY[method].of(backbone, start, recipe.inner_steps)


def train_family(
    model: Maml,
    sets: Sequence[LabelledSet],
    rows: Mapping[str, Tensor],
    recipe: FamilyRecipe,
    out: Path,
    *,
    validation: Sequence[MetaTask] = (),
    held_out: Sequence[LabelledSet] = (),
    device: str = "cpu",
    progress: Progress = silent,
) -> TrainingReport:
    """Meta-train ``model`` on ``sets``; an interrupted training into ``out`` goes on where it stopped.

    Args:
        model: of :func:`start_family`; changed, and in eval mode in the end.
        sets: the meta-train sets.
        rows: ``(n, C*h*w)`` flattened input maps of each set, by name.
        validation, held_out: as in `medmeta.training.recipe.train_model`.
    """
    builder = TaskDistributionBuilder(
        list(sets),
        recipe.param_space,
        recipe.tasks_per_epoch,
        queries=recipe.queries,
        seed=recipe.seed,
        tasks_per_batch=recipe.tasks_per_batch,
    )
    trainer = MetaTrainer(
        model,
        recipe.inner_steps,
        recipe.meta_lr,
        weight_decay=recipe.weight_decay,
        patience=recipe.epochs,
        seed=recipe.seed,
        device=device,
    )
    everything = [*sets, *held_out]
    bank = FeatureBank(everything, {each.name: rows[each.name] for each in everything})
    report = trainer.fit(
        builder, bank, epochs=recipe.epochs, out=out, validation=validation, progress=progress
    )
    model.eval()
    return report
