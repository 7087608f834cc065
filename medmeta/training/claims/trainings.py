"""Trainings that race: the same left-out tasks judge them, one core each, features known beforehand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from medmeta.models.threads import one_thread
from medmeta.tasks.builder import TaskDistributionBuilder
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import MetaTask
from medmeta.training.claims.curves import Curve
from medmeta.training.claims.ground import Ground
from medmeta.training.maml_recipe import FamilyRecipe, start_family, train_family
from medmeta.training.outer import measure
from medmeta.training.recipe import Recipe, start_model, train_model
from medmeta.training.tensors import FeatureBank


def our_recipe(ground: Ground) -> Recipe:
    """The shipped recipe at the ground's sizes, on tasks of up to five ways."""
    sizes = ground.sizes
    return replace(
        Recipe(),
        rank=sizes.rank,
        shots=(sizes.shots,),
        ways=(5,),
        epochs=sizes.our_epochs,
        tasks_per_epoch=sizes.tasks_per_epoch,
        seed=ground.seed,
    )


def validation(ground: Ground, left_out: LabelledSet) -> tuple[MetaTask, ...]:
    """Fixed tasks of all classes of a left-out set."""
    count, sizes = ground.sizes.validation_tasks, ground.sizes
    fixed = TaskDistributionBuilder(
        left_out, {}, count, shots=sizes.shots, queries=10, seed=ground.seed, tasks_per_batch=count
    )
    return fixed.generate_batch()


def our_curve(
    ground: Ground,
    name: str,
    train: Sequence[LabelledSet],
    left_out: LabelledSet,
    recipe: Recipe,
    cost: str = "seconds",
) -> Curve:
    """Train `MetaModel` on the original trunk's statistics.

    The start is the closed form, and what building and embedding it took.

    Args:
        name: of the training, one folder each; an interrupted one goes on.
        train: meta-train sets without ``left_out``.
        cost: see `Curve.of`.
    """
    features, blocks = ground.statistics, ground.extractor.blocks
    fixed = validation(ground, left_out)
    with one_thread():
        began = time.perf_counter()
        model = start_model(train, features, blocks, recipe)
        sets = [*train, left_out]
        bank = FeatureBank(sets, {each.name: model.embed(features[each.name]).float() for each in sets})
        built = time.perf_counter() - began
        start = measure(model, [bank.task(task) for task in fixed], recipe.seed).accuracy
        _, report = train_model(
            train,
            features,
            blocks,
            recipe,
            ground.trainings / name,
            validation=fixed,
            held_out=[left_out],
            progress=ground.progress,
        )
    return Curve.of(report.history, cost, start=start, built=built if cost == "seconds" else 0.0)


def maml_curve(ground: Ground, name: str, train: Sequence[LabelledSet], left_out: LabelledSet) -> Curve:
    """Train MAML over the original trunk's last stage on the tasks that :func:`our_curve` trains on."""
    ours = our_recipe(ground)
    recipe = FamilyRecipe(
        param_space=ours.param_space,
        epochs=ground.sizes.family_epochs,
        tasks_per_epoch=ours.tasks_per_epoch,
        tasks_per_batch=ours.tasks_per_batch,
        seed=ours.seed,
    )
    fixed = validation(ground, left_out)
    model = start_family("maml", ground.extractor.backbone, recipe).cpu()
    sets = [*train, left_out]
    bank = FeatureBank(sets, {each.name: ground.maps[each.name] for each in sets})
    with one_thread():
        start = measure(model, [bank.task(task) for task in fixed], recipe.seed).accuracy
        report = train_family(
            model,
            train,
            ground.maps,
            recipe,
            ground.trainings / name,
            validation=fixed,
            held_out=[left_out],
            progress=ground.progress,
        )
    return Curve.of(report.history, "seconds", start=start)
