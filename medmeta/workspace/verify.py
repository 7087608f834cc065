"""Repeat the evaluation of a run from the scans it kept, and compare every figure with those it saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medmeta.evaluation.protocols import evaluate
from medmeta.evaluation.provenance import PACKAGES, task_hash
from medmeta.evaluation.serialise import to_json
from medmeta.learners.base import Learner
from medmeta.progress import Progress, silent
from medmeta.workspace.kept_scans import KeptTask, kept_task
from medmeta.workspace.run import load_run

#: Largest difference of two numbers that still counts as the same. The same machine gives the same bits; another
#: processor or PyTorch adds in another order, which moves probabilities by less than this.
TOLERANCE = 1e-3
#: What a difference of figures may come from; named, but no difference by itself.
_VERSIONS = ("python", "device", "weights", *PACKAGES)
#: What may differ between two runs of the same evaluation: how long it took, when, and with which programs.
_FREE = frozenset(("seconds", "provenance.date", *(f"provenance.{name}" for name in _VERSIONS)))

#: Makes the learner of a name.
MakeLearner = Callable[[str], Learner]


@dataclass(frozen=True)
class Difference:
    """One place where what was saved and what was found do not agree."""

    where: str
    saved: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.where}: saved {self.saved}, found {self.found}"


@dataclass(frozen=True)
class Verification:
    """Whether a run's figures come out again.

    Attributes:
        differences: where they do not; empty when the evaluation is the same.
        versions: programs, device and weights that are not those of the run; no difference by themselves.
        compared: values compared.
        tolerance: largest difference of two numbers that counts as the same.
    """

    differences: tuple[Difference, ...]
    versions: tuple[Difference, ...]
    compared: int
    tolerance: float

    @property
    def same(self) -> bool:
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        return {"same": self.same, **asdict(self)}


def verify_run(
    folder: Path, make: MakeLearner, *, tolerance: float = TOLERANCE, progress: Progress = silent
) -> Verification:
    """Repeat the evaluation in ``folder`` with its own learner, simple methods and seed.

    Scans or labels that are not those the figures are about are named without a new run.

    Raises:
        WorkspaceError: the run kept no scans, or cannot be read.
        TaskError, ModelError: the evaluation cannot be run at all.
    """
    saved, kept = load_run(folder), kept_task(folder)
    recipe = saved.provenance
    altered = (*_altered(kept), *_other_labels(kept, recipe))
    if altered:
        return Verification(altered, (), len(altered), tolerance)
    _, found = evaluate(
        make(str(recipe["learner"])),
        kept.support,
        kept.query,
        baselines=[make(str(name)) for name in recipe["baselines"]],
        seed=int(recipe["seed"]),
        progress=progress,
    )
    # What is compared is what a reader of the file gets.
    new = json.loads(json.dumps(to_json(found)))
    old = json.loads(json.dumps(to_json(saved)))
    versions = tuple(
        Difference(name, old["provenance"].get(name), new["provenance"].get(name))
        for name in _VERSIONS
        if old["provenance"].get(name) != new["provenance"].get(name)
    )
    differences = tuple(_differences("", old, new, tolerance))
    return Verification(differences, versions, sum(1 for _ in _leaves(old)), tolerance)


def _altered(kept: KeptTask) -> Iterator[Difference]:
    for file in kept.altered:
        yield Difference(f"pixels of {file}", "as their hash says", "others")


def _other_labels(kept: KeptTask, recipe: Any) -> Iterator[Difference]:
    for side, task in (("support", kept.support), ("query", kept.query)):
        saved, found = recipe.get(f"{side}_sha256"), None if task is None else task_hash(task)
        if saved != found:
            yield Difference(f"scans and labels of the {side} set, by hash", saved, found)


def _differences(where: str, saved: Any, found: Any, tolerance: float) -> Iterator[Difference]:
    if where in _FREE:
        return
    if isinstance(saved, dict) and isinstance(found, dict):
        for key in dict.fromkeys((*saved, *found)):
            place = f"{where}.{key}" if where else str(key)
            yield from _differences(place, saved.get(key), found.get(key), tolerance)
    elif isinstance(saved, list) and isinstance(found, list) and len(saved) == len(found):
        for number, (old, new) in enumerate(zip(saved, found, strict=True)):
            yield from _differences(f"{where}[{_name(old, number)}]", old, new, tolerance)
    elif not _alike(saved, found, tolerance):
        yield Difference(where, saved, found)


def _name(item: Any, number: int) -> str:
    """What a row of a list is called: by its label, file or name where it has one."""
    if not isinstance(item, dict):
        return str(number)
    told = [str(item[key]) for key in ("file", "name", "of", "label", "learner") if item.get(key)]
    return ", ".join(told[:2]) or str(number)


def _alike(saved: Any, found: Any, tolerance: float) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (saved, found))
    if not numbers or (isinstance(saved, int) and isinstance(found, int)):
        return bool(saved == found)
    return bool(abs(saved - found) <= tolerance * max(1.0, abs(saved)))


def _leaves(value: Any) -> Iterator[Any]:
    if not isinstance(value, dict | list):
        yield value
        return
    for child in value.values() if isinstance(value, dict) else value:
        yield from _leaves(child)
