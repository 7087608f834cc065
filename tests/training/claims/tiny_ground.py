"""A ground of tiny scans and a tiny trunk, on which every claim is measured in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_network import task, tiny_extractor

from medmeta.learners.base import Learner
from medmeta.learners.medmeta import MetaLearner
from medmeta.learners.tuned import InnerLoopLearner
from medmeta.models.features import FeatureExtractor
from medmeta.models.inner_loop import InnerLoop
from medmeta.models.twin import TwinSpace
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.task import Task
from medmeta.training.claims.ground import Ground, Sizes
from medmeta.training.claims.near_domain import OneTrunk
from medmeta.training.recipe import Recipe, start_model

TINY = Sizes(
    episodes=3,
    shots=2,
    queries=3,
    left_outs=1,
    validation_tasks=2,
    family_epochs=1,
    our_epochs=2,
    tasks_per_epoch=4,
    seeds=2,
    trials=2,
    rank=4,
    near_episodes=3,
    tuned_episodes=2,
    tuned_start="conv3",
    raced_tasks=2,
    budget=3,
)


def train_sets(names: tuple[str, ...] = ("first", "second", "third")) -> list[LabelledSet]:
    found = []
    for number, name in enumerate(names):
        made = task(("a", "b", "c", "d"), shots=8, first=1000 * number)
        found.append(
            LabelledSet.from_task(Task(name, made.classes, made.scans, made.labels), f"domain {name}")
        )
    return found


def sets_to_test(names: tuple[str, ...] = ("lung", "chest")) -> list[Task]:
    found = []
    for number, name in enumerate(names):
        made = task(("x", "y"), shots=8, first=10_000 + 1000 * number)
        found.append(Task(name, made.classes, made.scans, made.labels))
    return found


def make(name: str, extractor: FeatureExtractor) -> Learner:
    """Untrained stand-ins for the shipped learners."""
    if name == "maml":
        return InnerLoopLearner("maml", InnerLoop.of(extractor.backbone).requires_grad_(False), extractor)
    assert name == "medmeta"
    sets = train_sets(("first",))
    known = tiny_extractor()
    rows = {
        each.name: known.statistics([item for item in each.items if not isinstance(item, str)])
        for each in sets
    }
    model = start_model(sets, rows, known.blocks, Recipe(rank=4)).eval()
    return MetaLearner("medmeta", model, TwinSpace(OneTrunk(extractor, extractor), model.centre), extractor)


def ground(out: Path, **options: Any) -> Ground:
    settings: dict[str, Any] = {
        "read_train": train_sets,
        "read_test": sets_to_test,
        "extractor": tiny_extractor(),
        "out": out,
        "sizes": TINY,
        "jobs": 1,
        "make": make,
    }
    return Ground(**{**settings, **options})
