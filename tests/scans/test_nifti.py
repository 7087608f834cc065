"""NIfTI volumes: orientation and scaling against nibabel's own and by hand, and hostile files."""

from __future__ import annotations

import gzip
import struct

import nibabel
import numpy as np
import pytest
from dicom_files import KEY

from medmeta.errors import ScanRejectedError
from medmeta.scans.isolate import Isolated
from medmeta.scans.limits import MIB, Limits
from medmeta.scans.nifti import read_nifti
from medmeta.scans.orientation import directions, edge_letters, spacing
from medmeta.scans.reader import read_file
from medmeta.scans.scan import Scan

RAS = np.diag([2.0, 3.0, 4.0, 1.0])
#: Voxel (i, j, k) holds 100 i + 10 j + k.
VOLUME = (100 * np.arange(4)[:, None, None] + 10 * np.arange(3)[:, None] + np.arange(5)).astype(np.int16)


def written(
    values: np.ndarray, affine: np.ndarray | None = RAS, kind: type = nibabel.Nifti1Image, **header: object
) -> bytes:
    image = kind(values, affine)
    for word, value in header.items():
        image.header[word] = value
    return image.to_bytes()


def read(data: bytes, **limits: int) -> Scan:
    return read_nifti(data, "x.nii", limits=Limits(**limits))


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("packed", [False, True])
def test_an_axial_slice_as_dicom_turns_it(kind: type, packed: bool) -> None:
    """In RAS voxels i runs to the right and j to the front: the first row is the highest j, the first column the
    highest i."""
    data = written(VOLUME, kind=kind)
    scan = read(gzip.compress(data) if packed else data)
    assert scan.pixels.shape == (5, 3, 4)
    assert scan.pixels[0].tolist() == [[320, 220, 120, 20], [310, 210, 110, 10], [300, 200, 100, 0]]
    assert scan.pixels[scan.central_frame, 0, 0] == 322
    assert (scan.pixels.dtype, scan.group_source, scan.transfer_syntax) == (np.int16, "file", None)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LIP", "PSR", "ASL", "SAR"])
def test_however_the_voxels_lie_the_slices_are_the_same(codes: str) -> None:
    from nibabel.orientations import axcodes2ornt, ornt_transform

    image = nibabel.Nifti1Image(VOLUME, RAS)
    turned = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes)))
    assert "".join(nibabel.aff2axcodes(turned.affine)) == codes
    assert read(turned.to_bytes()).id == read(image.to_bytes()).id


def test_orientation_and_spacing_by_hand() -> None:
    """RAS voxels of 2 x 3 x 4 mm: the picture's rows run to the patient's left and lie 3 mm apart."""
    scan = read(written(VOLUME, xyzt_units=2))
    assert dict(scan.tags) == {"ImageOrientationPatient": "1\\0\\0\\0\\1\\0", "PixelSpacing": "3\\2"}
    assert edge_letters(scan.tags) == ("R", "L", "A", "P")
    assert spacing(scan.tags) == ((3.0, 2.0), False)
    assert spacing(read(written(VOLUME, xyzt_units=3)).tags) == ((0.003, 0.002), False)
    assert spacing(read(written(VOLUME, xyzt_units=1)).tags) == ((3000.0, 2000.0), False)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LIP", "PSR", "ASL", "SAR"])
@pytest.mark.parametrize("turn", [0, 30, -40])
def test_directions_and_lengths_are_nibabels(codes: str, turn: float) -> None:
    """The voxels lie any way, and the patient's head is turned about two axes: nibabel's own reorientation decides."""
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    a, b = np.radians(turn), np.radians(turn / 2)
    about_z = [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]
    about_x = [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.array(about_z) @ about_x @ np.diag((2.0, 3.0, 4.0)), (7, -8, 9)
    image = nibabel.Nifti1Image(VOLUME, affine)
    image = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes)))
    image.header["xyzt_units"] = 10  # mm and seconds
    straight = image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt("LPS")))
    tags = read(image.to_bytes()).tags
    row, column = directions(tags)
    expected = straight.affine[:3, :3] / nibabel.affines.voxel_sizes(straight.affine)
    np.testing.assert_allclose(row, expected[:, 0] * (-1, -1, 1), atol=1e-6)
    np.testing.assert_allclose(column, expected[:, 1] * (-1, -1, 1), atol=1e-6)
    (between_rows, between_columns), _ = spacing(tags)
    np.testing.assert_allclose(
        [between_columns, between_rows], nibabel.affines.voxel_sizes(straight.affine)[:2], rtol=1e-6
    )
    # nibabel's axis codes name where an axis runs to; the letters begin with the nearest axis.
    towards = nibabel.aff2axcodes(straight.affine, labels=(("L", "R"), ("P", "A"), ("F", "H")))
    letters = edge_letters(tags)
    assert (letters[1][0], letters[3][0]) == towards[:2] == ("L", "P")


def test_no_geometry_is_told_that_the_header_does_not_know() -> None:
    data = bytearray(written(VOLUME, xyzt_units=2))
    struct.pack_into("<hh", data, 252, 0, 0)  # neither qform nor sform: nibabel guesses
    assert dict(read(bytes(data)).tags) == {}
    assert list(read(written(VOLUME)).tags) == ["ImageOrientationPatient"]  # lengths without a unit
    flat = bytearray(written(VOLUME, xyzt_units=2))
    struct.pack_into("<4f", flat, 312, 0, 0, 0, 0)  # srow_z: an affine that maps the slices to nothing
    assert dict(read(bytes(flat)).tags) == {}
    sheared = np.array([[2, 1.5, 0, 0], [0, 3, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1.0]])
    assert edge_letters(read(written(VOLUME, sheared, xyzt_units=2)).tags) is None


def test_scaling_equals_nibabels() -> None:
    for slope, intercept, kind in ((1, -1024, np.int16), (0.5, 3.25, np.float32), (3, 0, np.int16)):
        data = bytearray(written(VOLUME))
        struct.pack_into("<ff", data, 112, slope, intercept)
        expected = nibabel.Nifti1Image.from_bytes(bytes(data)).get_fdata()
        scan = read(bytes(data))
        np.testing.assert_array_equal(scan.pixels, expected[::-1, ::-1].transpose(2, 1, 0))
        assert scan.pixels.dtype == kind


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_every_plain_type(kind: str) -> None:
    values = (VOLUME % 100).astype(kind)
    np.testing.assert_array_equal(read(written(values)).pixels, values[::-1, ::-1].transpose(2, 1, 0))


def test_colour() -> None:
    triples = np.zeros(VOLUME.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    triples["R"], triples["B"] = VOLUME % 256, 7
    scan = read(written(triples))
    assert scan.is_colour
    np.testing.assert_array_equal(scan.pixels[..., 0], (VOLUME % 256)[::-1, ::-1].transpose(2, 1, 0))
    assert set(scan.pixels[..., 2].flat) == {7}


def test_the_first_of_several_volumes_and_a_single_slice() -> None:
    several = np.stack([VOLUME, VOLUME + 1, VOLUME + 2], -1)
    scan = read(written(several))
    assert scan.id == read(written(VOLUME)).id
    assert scan.warnings == ("holds 3 volumes; the first was read",)
    flat = read(written(VOLUME[:, :, 0], RAS))
    np.testing.assert_array_equal(flat.pixels[0], read(written(VOLUME)).pixels[0])


def test_no_text_of_the_header_is_kept() -> None:
    assert "CANARY" not in repr(read(written(VOLUME, descrip=b"PHI-CANARY", aux_file=b"PHI-CANARY")))


def test_false_sizes_and_types() -> None:
    good = written(VOLUME)
    huge, none, text = bytearray(good), bytearray(good), bytearray(good)
    struct.pack_into("<8h", huge, 40, 3, 3000, 3000, 3000, 1, 1, 1, 1)
    struct.pack_into("<8h", none, 40, 3, 4, 0, 5, 1, 1, 1, 1)
    struct.pack_into("<h", text, 70, 99)
    for bad, words in (
        (huge, "3000 x 3000 x 3000 voxels"),
        (none, "without voxels"),
        (text, "could not be decoded"),
        (good[:-8], "cut short"),
        (good[:200], "no NIfTI|cut short|decoded"),
        (written(VOLUME.astype(np.complex64)), "complex"),
        (written(np.full((3, 3, 3), np.nan, np.float32)), "not numbers"),
        (good.replace(b"n+1\0", b"ni1\0"), "pair"),
    ):
        with pytest.raises(ScanRejectedError, match=words):
            read(bytes(bad))


def test_gzip_bombs_cuts_and_other_content() -> None:
    packed = gzip.compress(written(VOLUME))
    bomb = gzip.compress(b"\0" * (64 * MIB))
    assert len(bomb) < MIB
    for bad, words in (
        (bomb, "grows"),
        (gzip.compress(b"\0" * (20 * MIB)) * 2, "grows"),
        (packed[:-20], "cut short"),
        (packed[:40] + b"\xff\xff" + packed[42:], "damaged|cut short|decoded|no NIfTI"),
        (gzip.compress(b"plain words"), "no NIfTI volume but a text file"),
        (gzip.compress(packed), "no NIfTI volume but a gzip file"),
    ):
        with pytest.raises(ScanRejectedError, match=words):
            read(bad)


def test_members_of_a_gzip_file_are_joined() -> None:
    data = written(VOLUME)
    assert read(gzip.compress(data[:500]) + gzip.compress(data[500:])).id == read(data).id


def test_the_reader_and_the_decoding_process_know_it() -> None:
    data = gzip.compress(written(VOLUME))
    with Isolated() as isolated:
        for scan in (read_file(data, "x", KEY), isolated.read(data, "x", KEY)):
            assert scan.id == read(data).id
