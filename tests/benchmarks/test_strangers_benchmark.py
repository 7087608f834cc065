"""The tables of strays and kinds on vectors made by hand, whose answers are plain."""

from __future__ import annotations

from argparse import Namespace

import numpy as np

from benchmarks.strangers import A_CLASS, Looks, draw, kind_row, stray_rows
from medmeta.scans.strangers import unit

OPTIONS = Namespace(draws=5, seed=0)


def looks(name: str, axis: int, spread: float = 0.1) -> Looks:
    """A data set of two classes around one axis: any two of its scans are alike, none of another axis is."""
    random = np.random.default_rng(axis)
    vectors = np.eye(64)[np.full(2 * A_CLASS, axis)] + spread * random.normal(size=(2 * A_CLASS, 64)) / 8
    targets = np.repeat(np.arange(2), A_CLASS)
    groups = tuple(f"{name}-{i}" for i in range(2 * A_CLASS))
    return Looks(name, unit(vectors), targets, groups, ("a", "b"))


def test_a_stray_from_another_set_is_always_found_and_nothing_else() -> None:
    rows = stray_rows(looks("one", 0), [looks("two", 1)], OPTIONS)
    assert len(rows) == 2  # it has two classes, not three
    for row in rows:
        cells = [cell.strip().split(" (")[0] for cell in row.strip("|").split("|")]
        # Two scans of one kind have one friend and two others: (1 + 0 + 0) / 3.
        assert cells[2:] == ["0 of 5", "5 of 5", "5 of 5", "0 of 10"]


def test_parts_of_the_body_get_no_strays() -> None:
    assert stray_rows(looks("med_nist", 0), [looks("two", 1)], OPTIONS) == []


def test_a_kind_is_known_by_other_scans_of_it_and_new_without_them() -> None:
    row = kind_row(looks("one", 0), [looks("two", 1), looks("three", 2)], OPTIONS)
    cells = [cell.strip().split(" (")[0] for cell in row.strip("|").split("|")]
    assert cells == ["one", f"{A_CLASS} of {A_CLASS}", "0 of 5", f"0 of {A_CLASS}", "5 of 5"]


def test_classes_without_a_name_of_their_own_are_called_by_their_set() -> None:
    assert looks("some_new_set", 0).kinds() == ["some new set"] * 2
    assert looks("pbc_blood", 0).kinds() == ["blood smears"] * 2


def test_a_draw_takes_so_many_of_so_many_classes() -> None:
    own = looks("one", 0)
    places = draw(own, 2, 5, np.random.default_rng(0))
    assert len(set(places)) == 10
    assert np.bincount(own.targets[places]).tolist() == [5, 5]
