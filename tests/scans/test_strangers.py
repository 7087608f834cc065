"""Scans that do not belong, and kinds of picture that are new: vectors and cosines made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from medmeta.scans.checks import Looked
from medmeta.scans.strangers import (
    KNOWN,
    LEAST,
    STRAY,
    Kinds,
    belonging,
    check_strangers,
    is_new,
    listed,
    strays,
    unit,
)

PICTURE = np.tile(np.linspace(0, 255, 64, dtype=np.float32), (64, 1))


def towards(axis: int, cosine: float, side: int, size: int = 24) -> np.ndarray:
    """A vector of length 1 with this cosine to an axis, the rest of it along an axis of its own."""
    vector = np.zeros(size, np.float32)
    vector[axis], vector[side] = cosine, np.sqrt(1 - cosine**2)
    return vector


def looked(key: int, group: str | None = None, side: str = "support") -> Looked:
    return Looked(
        key=key,
        id=f"id-{key}",
        file=f"scan-{key}.png",
        label="a",
        group=group or f"p{key}",
        side=side,
        modality=None,
        body_part=None,
        colour=False,
        rows=64,
        columns=64,
        view=PICTURE,
    )


def ten(last: np.ndarray) -> tuple[list[Looked], dict[str, np.ndarray]]:
    """Nine scans alike, any two with a cosine of 0.81, and one more."""
    vectors = [towards(0, 0.9, 2 + i) for i in range(9)] + [last]
    return [looked(i) for i in range(10)], {f"id-{i}": 3 * vector for i, vector in enumerate(vectors)}


def test_the_mean_of_the_three_nearest_is_taken():
    vectors = unit(np.stack([towards(0, 0.9, 2), towards(0, 0.8, 3), towards(0, 0.5, 4), towards(0, 1.0, 5)]))
    expected = [
        (0.72 + 0.45 + 0.9) / 3,
        (0.72 + 0.4 + 0.8) / 3,
        (0.45 + 0.4 + 0.5) / 3,
        (0.9 + 0.8 + 0.5) / 3,
    ]
    assert belonging(vectors, list("abcd")) == pytest.approx(expected, abs=1e-6)


def test_scans_of_one_patient_do_not_vouch_for_each_other():
    odd = towards(1, 1.0, 23)
    vectors = unit(np.stack([*(towards(0, 0.95, 2 + i) for i in range(5)), odd, odd, odd, odd]))
    assert strays(vectors, [*"abcde", "x", "x", "x", "x"]) == [5, 6, 7, 8]
    assert strays(vectors, [*"abcde", *"xyzw"]) == []  # four patients like each other are a class


def test_with_too_few_other_patients_nobody_is_odd():
    vectors = unit(np.eye(4, dtype=np.float32))
    assert belonging(vectors, ["a", "a", "b", "b"]).tolist() == [1.0] * 4


@pytest.mark.parametrize(("cosine", "odd"), [(STRAY / 0.9 - 0.01, True), (STRAY / 0.9 + 0.01, False)])
def test_a_stray_is_named_and_can_be_removed(cosine: float, odd: bool):
    scans, looks = ten(towards(0, cosine, 20))
    found = check_strangers(scans, looks)
    assert [finding.kind for finding in found] == ["stray"] * odd
    if odd:
        assert found[0].sentence.startswith("scan-9.png looks like none of the other scans")
        assert (found[0].keys, found[0].removable, found[0].severity) == ((9,), (9,), "warning")


def test_new_scans_and_unknown_ones_are_let_be():
    scans, looks = ten(towards(1, 1.0, 20))
    assert check_strangers([*scans[:9], looked(9, side="predict")], looks) == ()
    del looks["id-9"]
    assert check_strangers(scans, looks) == ()
    assert check_strangers(scans[: LEAST - 1], looks) == ()
    assert check_strangers([], {}) == ()


def test_a_kind_is_new_where_most_scans_are_unlike_all_classes():
    means = unit(np.stack([towards(0, 1.0, 1), towards(1, 1.0, 2)]))
    kinds = Kinds(("chest CT", "knee X-rays"), means)
    near, far = towards(1, KNOWN + 0.05, 5), towards(1, KNOWN - 0.05, 5)
    assert not is_new(unit(np.stack([near, near, far])), kinds)
    assert is_new(unit(np.stack([near, far, far])), kinds)
    scans, looks = ten(towards(0, 0.9, 20))
    assert check_strangers(scans, looks, kinds) == ()
    (found,) = check_strangers(scans, looks, Kinds(("knee X-rays",), means[1:]))
    assert (found.kind, found.severity, found.removable) == ("new-kind", "note", ())
    assert "those it was trained on, knee X-rays." in found.sentence
    assert found.keys == tuple(range(10))


def test_each_kind_is_listed_once():
    means = np.eye(4, dtype=np.float32)
    assert listed(Kinds(("a", "b", "a", "c"), means)) == "a, b and c"
