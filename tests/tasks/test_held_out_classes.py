"""Classes held out of training: how many, always the same, and no patient on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from medmeta.tasks.held_out_classes import divide, held_out_classes
from medmeta.tasks.labelled_set import LabelledSet


def made(classes: int, groups: tuple[str, ...] | None = None) -> LabelledSet:
    targets = np.repeat(np.arange(classes), 3)
    names = tuple(f"c{i}" for i in range(classes))
    texts = [f"text {i}" for i in range(len(targets))]
    given = groups or tuple(f"g{i}" for i in range(len(targets)))
    return LabelledSet("made", "d", names, targets, given, texts, {"c0": "zero", "c1": "one"})


@pytest.mark.parametrize(("classes", "held"), [(2, 0), (3, 0), (4, 2), (5, 2), (6, 2), (11, 4)])
def test_about_a_third_at_least_two(classes: int, held: int) -> None:
    data = made(classes)
    found = held_out_classes(data)
    assert len(found) == len(set(found)) == held
    assert found == held_out_classes(made(classes))
    assert list(found) == [name for name in data.classes if name in found]


def test_another_seed_holds_out_others() -> None:
    assert len({held_out_classes(made(11), seed) for seed in range(5)}) > 1


def test_a_small_set_stays_whole() -> None:
    data = made(3)
    assert divide(data) == (data, None)


def test_parts_keep_their_items_and_share_no_group() -> None:
    shared = ("x", "g1", "g2", "x", "g4", "g5", "x", "g7", "g8", "x", "g10", "g11")
    data = made(4, shared)
    rest, held = divide(data)
    assert held is not None
    assert set(rest.classes) | set(held.classes) == set(data.classes)
    assert not set(rest.groups) & set(held.groups)
    assert (len(rest.items), len(held.items)) == (4, 6)  # of x the rest lost both of its items
    for part in (rest, held):
        for item, target in zip(part.items, part.targets, strict=True):
            position = list(data.items).index(item)
            assert part.classes[target] == data.classes[data.targets[position]]
        assert set(part.descriptions) == {"c0", "c1"} & set(part.classes)
