"""Classes kept out of training from data sets that are in it: what a new disease of a known kind looks like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medmeta.tasks.labelled_set import LabelledSet

#: Sets with fewer classes are trained on whole.
LEAST_CLASSES = 4
SHARE = 1 / 3


def held_out_classes(data: LabelledSet, seed: int = 0) -> tuple[str, ...]:
    """About a third of the classes, at least two, in the set's order; none of a set of fewer than four classes.

    The choice depends on the number of classes and the seed alone.
    """
    count = len(data.classes)
    if count < LEAST_CLASSES:
        return ()
    chosen = np.random.default_rng(seed).permutation(count)[: max(2, round(count * SHARE))]
    return tuple(data.classes[position] for position in sorted(chosen))


def divide(data: LabelledSet, seed: int = 0) -> tuple[LabelledSet, LabelledSet | None]:
    """The set without its :func:`held_out_classes`, and the set of those alone (None where none is held out).

    A group with items of a held-out class is in the second part alone, all its other items being dropped.
    """
    held = held_out_classes(data, seed)
    if not held:
        return data, None
    names = np.array(data.classes)[data.targets]
    out = np.isin(names, held)
    groups = np.array(data.groups)
    rest = ~np.isin(groups, groups[out])
    return _part(data, rest, [name for name in data.classes if name not in held]), _part(data, out, held)


def _part(data: LabelledSet, chosen: NDArray[np.bool_], classes: Sequence[str]) -> LabelledSet:
    """Some items of a set, their classes renumbered."""
    positions = np.flatnonzero(chosen).tolist()
    number = {name: target for target, name in enumerate(classes)}
    return LabelledSet(
        data.name,
        data.domain,
        tuple(classes),
        np.array([number[data.classes[data.targets[i]]] for i in positions], dtype=np.int64),
        tuple(data.groups[i] for i in positions),
        [data.items[i] for i in positions],  # type: ignore[arg-type]
        {name: text for name, text in data.descriptions.items() if name in number},
    )
