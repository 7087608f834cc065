"""Each check on scans made for it: what it says, which scans it names, which may be taken out."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from test_likeness import lying, structured

from medmeta.scans.checks import Looked, check_scans
from medmeta.scans.likeness import SIDE

_COUNT = iter(range(10**6))


def looked(picture=None, **changes) -> Looked:
    number = next(_COUNT)
    pixels = structured(number, 4 * SIDE) if picture is None else picture
    view = np.asarray(pixels, np.float32)
    if view.shape != (SIDE, SIDE):
        step = view.shape[0] / SIDE
        places = (np.arange(SIDE) * step).astype(int)
        view = view[places][:, places]
    made = Looked(
        key=number,
        id=f"{number}",
        file=f"f{number}",
        label="a",
        group=f"P{number}",
        side="support",
        modality="CT",
        body_part=None,
        colour=False,
        rows=200,
        columns=200,
        view=view,
    )
    return replace(made, **changes)


def only(scans, kind):
    found = [finding for finding in check_scans(scans) if finding.kind == kind]
    assert len(found) == 1, [finding.kind for finding in check_scans(scans)]
    return found[0]


def test_nothing_to_say_of_a_sound_set() -> None:
    assert check_scans([looked(label=label) for label in "ab" for _ in range(5)]) == ()
    assert check_scans([]) == ()


def test_equal_pixels_under_one_label_can_be_thinned() -> None:
    first = looked()
    twin = looked(id=first.id, view=first.view, group=first.group)
    finding = only([first, twin, looked()], "copy")
    assert finding.sentence.startswith(f"{first.file} and {twin.file} hold the same pixels")
    assert (finding.keys, finding.removable) == ((first.key, twin.key), (twin.key,))


def test_copies_under_two_labels_are_an_error_that_names_both() -> None:
    first = looked()
    copy = looked(view=first.view * 0.8 + 10, label="b")
    finding = only([looked(), first, copy], "copy-two-labels")
    assert finding.severity == "error"
    assert finding.removable == ()  # nobody but the person knows which label is right
    assert first.file in finding.sentence
    assert copy.file in finding.sentence
    assert "a, b" in finding.sentence
    assert check_scans([looked(), first, copy])[0] == finding  # errors come first


def test_a_copy_among_the_test_scans_is_an_error() -> None:
    first = looked()
    copy = looked(view=first.view, side="query")
    finding = only([first, copy], "copy-both-sides")
    assert finding.severity == "error"
    assert finding.removable == (first.key,)


def test_like_slices_of_one_patient_are_no_copies() -> None:
    first = looked()
    assert check_scans([first, looked(view=first.view * 0.9, group=first.group)]) == ()
    other = looked(view=first.view * 0.9)
    assert only([first, other], "copy-two-patients").severity == "warning"


def test_three_copies_are_one_finding() -> None:
    first = looked()
    scans = [first, *(looked(view=first.view) for _ in range(4))]
    finding = only(scans, "copy-two-patients")
    assert len(finding.keys) == 5
    assert "and 3 more" in finding.sentence
    assert len(finding.removable) == 4


def test_a_patient_under_two_labels_is_noted() -> None:
    scans = [looked(group="P-1"), looked(group="P-1", label="b"), looked()]
    finding = only(scans, "patient-two-labels")
    assert finding.severity == "note"
    assert "P-1" in finding.sentence
    assert finding.keys == (scans[0].key, scans[1].key)


def test_mixtures_name_the_odd_ones() -> None:
    odd = looked(modality="MR", body_part="KNEE", colour=True)
    scans = [*(looked(body_part="CHEST") for _ in range(3)), odd]
    for kind, word in (
        ("mixed-modalities", "MR"),
        ("mixed-body-parts", "KNEE"),
        ("mixed-colour", "in colour"),
    ):
        finding = only(scans, kind)
        assert finding.keys == (odd.key,)
        assert word in finding.sentence
        assert odd.file in finding.sentence


def test_new_scans_are_in_no_mixture() -> None:
    assert check_scans([looked(), looked(modality="MR", side="predict")]) == ()


def test_empty_and_small() -> None:
    empty = looked(np.full((SIDE, SIDE), 3))
    small = looked(rows=40, columns=300)
    assert only([empty, looked()], "empty").removable == (empty.key,)
    assert "300 x 40" in only([small, looked()], "small").sentence


def test_orientation_is_called_a_suspicion() -> None:
    scans = [looked(lying(seed)) for seed in range(7)]
    scans[2] = looked(np.rot90(lying(50)))
    finding = only(scans, "orientation")
    assert finding.severity == "note"
    assert finding.keys == (scans[2].key,)
    assert "suspicion" in finding.sentence
    assert "turned by 90 degrees" in finding.sentence


def test_a_thousand_scans_take_a_moment() -> None:
    random = np.random.default_rng(0)
    scans = [looked(random.uniform(0, 255, (SIDE, SIDE))) for _ in range(1000)]
    start = time.process_time()
    check_scans(scans)
    assert time.process_time() - start < 5
