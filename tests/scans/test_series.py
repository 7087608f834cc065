"""Files of one series as one volume: orders worked out by hand, and what is said when a series is not whole."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_files import dicom, gradient, read

from medmeta.scans.intake import iter_intake
from medmeta.scans.scan import LabelledScan
from medmeta.scans.series import answering, is_localizer, representatives, stack_up
from medmeta.scans.wire import pack_scan, unpack_scan

AXIAL = [1, 0, 0, 0, 1, 0]
SAGITTAL = [0, 1, 0, 0, 0, -1]
HALF = 0.5**0.5
KEY = bytes(range(32))


def scan(value, position=None, orientation=AXIAL, *, series="1.2.3", size=4, **tags):
    """A slice of one grey value, read from its DICOM bytes."""
    more = {"SeriesInstanceUID": series, **tags}
    if position is not None:
        more |= {"ImagePositionPatient": position, "ImageOrientationPatient": orientation}
    return read(dicom(np.full((size, size), value, "<i2"), **more))


def axial(heights, **tags):
    return [scan(n, [0, 0, z], **tags) for n, z in enumerate(heights)]


def choice(stack, labels, marks=()):
    return answering(stack, labels, [position in marks for position in range(len(labels))])


def test_axial_slices_run_from_feet_to_head_whatever_order_they_came_in():
    (stack,) = stack_up(axial([5, -10, 0, -5]))
    assert stack.order == (1, 3, 2, 0)
    assert stack.along == (-10, -5, 0, 5)
    assert stack.step == 5
    assert stack.central == 3  # the lower of the two in the middle
    assert stack.notes == ()


def test_sagittal_slices_follow_the_cross_product_of_row_and_column():
    # Row +y, column -z: the normal is (0,1,0) x (0,0,-1) = (-1,0,0), so x counts backwards.
    (stack,) = stack_up([scan(n, [x, 7, 9], SAGITTAL) for n, x in enumerate((-30, 30, 0))])
    assert stack.order == (1, 2, 0)
    assert stack.along == (-30, 0, 30)


def test_oblique_slices_are_sorted_by_distance_and_not_by_any_one_coordinate():
    # Row +x, column (0,h,h): the normal is (0,-h,h). Distances by hand: 0, 4h, -4h, and (5-4)h for the third.
    positions = [(0, 0, 0), (0, -2, 2), (100, 4, 5), (0, 2, -2)]
    (stack,) = stack_up([scan(n, list(p), [1, 0, 0, 0, HALF, HALF]) for n, p in enumerate(positions)])
    assert stack.order == (3, 0, 2, 1)
    np.testing.assert_allclose(stack.along, [-4 * HALF, 0, HALF, 4 * HALF], atol=1e-6)


def test_positions_survive_with_nine_digits_and_hold_no_text():
    made = scan(1, ["-123.456789", "0.000001", "7"], ["0.707106781", "0", "0.707106781", "0", "1", "0"])
    assert made.tags["ImagePositionPatient"] == "-123.456789\\1e-06\\7"
    assert made.tags["ImageOrientationPatient"] == "0.707106781\\0\\0.707106781\\0\\1\\0"
    odd = scan(1, [0, 0, 0], ImageType=["ORIGINAL", "DOE^JOHN", "LOCALIZER", "TOP"])
    assert odd.tags["ImageType"] == "ORIGINAL\\LOCALIZER"
    assert is_localizer(odd)


def test_the_series_is_a_keyed_pseudonym_that_survives_the_decoding_process():
    one, other = scan(1, [0, 0, 0]), scan(1, [0, 0, 0], series="1.2.4")
    assert one.series.startswith("P-")
    assert "1.2.3" not in one.series
    assert one.series != other.series
    assert scan(1).series == one.series
    assert read(dicom(gradient())).series == ""
    header, body = pack_scan(one)
    from medmeta.scans.limits import Limits

    again = unpack_scan(header, bytearray(body), "f", Limits())
    assert (again.series, again.tags) == (one.series, one.tags)


def test_a_gap_and_a_repeated_position_are_said():
    (stack,) = stack_up(axial([0, 2, 4, 10, 12]))
    assert stack.step == 2
    assert stack.notes == ("slices 3 and 4 lie 6 mm apart where 2 mm is usual: slices may be missing",)
    # Two echoes at each position: instance numbers decide between them.
    twice = [
        scan(n, [0, 0, z], InstanceNumber=k) for n, (z, k) in enumerate([(0, 9), (3, 2), (0, 1), (3, 8)])
    ]
    (stack,) = stack_up(twice)
    assert stack.order == (2, 0, 1, 3)
    assert stack.step == 3
    assert "2 of 4 slices lie where another one does" in stack.notes[0]


def test_a_series_without_positions_is_no_volume_and_nothing_of_it_is_left_out():
    stacks = stack_up([scan(n, InstanceNumber=k) for n, k in enumerate((3, 1, 2))])
    assert [stack.order for stack in stacks] == [(0,), (1,), (2,)]
    assert not any(stack.notes for stack in stacks)


def test_slices_without_a_position_stand_at_the_end_and_do_not_move_the_centre():
    slices = [scan(0, InstanceNumber=5), *axial([4, 2, 0]), scan(9, InstanceNumber=2)]
    (stack,) = stack_up(slices)
    assert stack.order == (3, 2, 1, 4, 0)
    assert stack.central == 2
    assert stack.notes == (
        "2 of 5 slices name no position; they follow their Instance Number and stand at the end",
    )


def test_directions_and_sizes_make_stacks_of_their_own():
    slices = [*axial([0, 1]), scan(7, [3, 0, 0], SAGITTAL), scan(8, [0, 0, 2], size=6)]
    stacks = stack_up(slices)
    assert [stack.order for stack in stacks] == [(0, 1), (2,), (3,)]
    assert all("3 directions or sizes" in stack.notes[0] for stack in stacks)
    # Cosines that are no two directions at right angles order nothing.
    bent = [scan(n, [0, 0, z], [1, 0, 0, 1, 0, 0], InstanceNumber=n) for n, z in enumerate((9, 1))]
    assert [stack.order for stack in stack_up(bent)] == [(0,), (1,)]


@pytest.mark.parametrize(
    "different",
    [{"PatientID": "another"}, {"series": "1.2.9"}, {"Modality": "DX"}],
    ids=["patient", "series", "radiographs"],
)
def test_what_is_no_volume_stays_apart(different):
    one, two = scan(1, [0, 0, 0], **different), scan(2, [0, 0, 1])
    three = scan(3, [0, 0, 2], **different)
    orders = [stack.order for stack in stack_up([one, two, three])]
    assert orders == ([(0,), (1,), (2,)] if "Modality" in different else [(0, 2), (1,)])


def test_several_frames_are_a_volume_already():
    volume = read(dicom(np.zeros((3, 4, 4), "<i2"), SeriesInstanceUID="1.2.3"))
    assert [stack.order for stack in stack_up([volume, scan(1, [0, 0, 0])])] == [(0,), (1,)]


def test_a_localizer_answers_only_when_marked_and_only_beside_other_scans():
    scout = scan(50, [0, 0, 0], SAGITTAL, series="1.2.8", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    first, volume = stack_up([scout, *axial([0, 1, 2])])
    assert first.localizer
    assert choice(first, ["a"] * 4).positions == ()
    assert choice(first, ["a"] * 4, {0}).positions == (0,)
    assert volume.order == (1, 2, 3)
    (alone,) = stack_up([scout])
    assert choice(alone, ["a"]).positions == (0,)


def test_marks_go_before_labels_and_labels_before_the_centre():
    (stack,) = stack_up(axial([0, 1, 2, 3, 4]))
    same = ["a"] * 5
    assert choice(stack, same) == choice(stack, [None] * 5)
    assert (choice(stack, same).positions, choice(stack, same).why) == ((2,), "central")
    assert choice(stack, same, {4, 0}).positions == (0, 4)
    partly = [None, "a", None, "b", None]
    assert (choice(stack, partly).positions, choice(stack, partly).why) == ((1, 3), "labelled one by one")
    assert choice(stack, partly, {0}).positions == (0,)


def test_of_an_upload_one_slice_a_volume_is_kept_and_the_rest_is_said():
    many = [LabelledScan(each, "a") for each in axial([0, 3, 6, 30])]
    other = [
        LabelledScan(scan(n, [0, 0, n], series="1.2.7"), lab)
        for n, lab in ((20, None), (21, "b"), (22, None))
    ]
    picture = LabelledScan(read(dicom(gradient())), "b")
    kept, notes = representatives([*many, *other, picture])
    assert kept == (many[1], other[1], picture)
    assert "in 1 of the volumes slices carry labels of their own" in notes[0]
    assert notes[1].startswith("4 files are slices of 1 volume; the central slice stands for each")
    assert "24 mm apart where 3 mm is usual" in notes[2]
    assert representatives([picture]) == ((picture,), ())


def test_an_upload_keeps_every_slice_with_what_orders_it():
    files = [
        (f"v/IM{n}", dicom(np.full((4, 4), n, "<i2"), SeriesInstanceUID="1.5", ImagePositionPatient=[0, 0, -n],
                           ImageOrientationPatient=AXIAL))
        for n in range(3)
    ]  # fmt: skip
    found = [item.scan for item in iter_intake(files, key=KEY) if isinstance(item, LabelledScan)]
    (stack,) = stack_up(found)
    assert [found[i].file for i in stack.order] == ["v/IM2", "v/IM1", "v/IM0"]
