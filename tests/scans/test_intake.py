"""Labels, groups, order and warnings of uploads."""

from __future__ import annotations

import io

import nibabel
import numpy as np
import pytest
from dicom_files import KEY, dataset, dicom, encoded, gradient, zipped
from PIL import Image

from medmeta.errors import CancelledError, MedMetaError
from medmeta.scans.archive import normal
from medmeta.scans.checks import looked_at
from medmeta.scans.intake import iter_intake, read_source
from medmeta.scans.intensity import model_image
from medmeta.scans.labels import LabelRow, clean_label, match_rows, parse_labels
from medmeta.scans.limits import Limits
from medmeta.scans.reader import in_process
from medmeta.scans.refusal import RefusedError
from medmeta.scans.scan import LabelledScan, Rejection


def image(value: int = 0, **tags: object) -> bytes:
    return dicom(gradient() + value, **{"PatientID": f"p{value}", **tags})


def take(*uploads: tuple[str, bytes]) -> tuple[dict[str, LabelledScan], dict[str, str], str]:
    found = list(iter_intake(uploads, key=KEY, reader=in_process()))
    good = {item.scan.file: item for item in found if isinstance(item, LabelledScan)}
    bad = {item.file: item.reason for item in found if isinstance(item, Rejection)}
    return good, bad, " | ".join(item for item in found if isinstance(item, str))


def test_labels_csv_wins_over_folder_and_patient() -> None:
    table = '\ufefffile,label,group\r\na/1,"sick, very",g7\r\nb/2,well,\r\ngone/3,well,g1\r\n'.encode()
    good, bad, said = take(
        ("top/labels.csv", table), ("top/a/1", image(1)), ("top/b/2", image(2)), ("top/b/4", image(3))
    )
    assert bad == {}
    assert (good["top/a/1"].label, good["top/a/1"].scan.group) == ("sick, very", "g7")
    assert good["top/a/1"].scan.group_source == "labels.csv"
    assert (good["top/b/2"].label, good["top/b/2"].scan.group_source) == ("well", "PatientID")
    assert good["top/b/4"].label == "b"
    assert "gone/3" in said


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_and_bare_names(separator: str) -> None:
    table = (
        separator.join(["group", "File", " LABEL "]) + "\n" + separator.join(["g", "1.dcm", "sick"]) + "\n\n"
    )
    rows = parse_labels(table.encode(), Limits())
    assert [(row.file, row.label, row.group) for row in rows] == [("1.dcm", "sick", "g")]
    good, _, said = take(("labels.csv", table.encode()), ("s.zip", zipped({"in/here/1.dcm": image()})))
    assert good["in/here/1.dcm"].label == "sick"
    assert said == ""


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (b"name,class\n1,a\n", "file and label not found"),
        (b"file,label\n1,a,b\n", "line 2 has 3 cells"),
        (b"file,label\n1,a\n1,b\n", "line 3"),
        (b"file,label\n1,\x07\n", "control"),
        (b"file,label\n1," + b"x" * 81 + b"\n", "80 characters"),
        (b"file,label\n,a\n", "line 2 names no file"),
        (b'file,label\n1,"a\n', "CSV"),
        ("file,label\n1,\xe9\n".encode("latin-1"), "UTF-8"),
        (b"", "file and label"),
        (b"file,label,Label\n1,a,b\n", "names the column label more than once"),
    ],
)
def test_a_faulty_table_is_refused_and_nothing_is_guessed(table: bytes, words: str) -> None:
    good, bad, _ = take(("labels.csv", table), ("a/1", image()))
    assert words in bad["labels.csv"]
    assert good["a/1"].label is None


def test_the_line_that_excel_puts_before_a_table() -> None:
    for start in (b"sep=;\r\n", b'\xef\xbb\xbf"sep=;"\n'):
        good, bad, _ = take(("labels.csv", start + b"file;label\r\na/1;x\r\n"), ("a/1", image()))
        assert (bad, good["a/1"].label) == ({}, "x")


@pytest.mark.parametrize(
    ("row", "files", "labelled"),
    [
        ("a/1.png", ["a/1.PNG", "b/1.PNG"], ["a/1.PNG"]),
        ("1.png", ["a/1.PNG", "a/1.png"], ["a/1.png"]),
        ("1.png", ["1.PNG", "a/1.PNG"], ["1.PNG"]),
        ("1.png", ["a/1.PNG", "b/1.PNG"], []),
        ("C:\\data\\a\\1.png", ["a/1.png", "b/1.png"], ["a/1.png"]),
        ("C:\\data\\a\\1.png", ["all/A/1.PNG", "all/b/1.png"], ["all/A/1.PNG"]),
        ("c:/data/a/1.png", ["1.png", "2.png"], ["1.png"]),
        ("c:/data/a/1.png", ["b/1.png"], []),
        ("c:/data/a/1.png", ["x/a/1.png", "y/a/1.png"], []),
    ],
)
def test_rows_in_another_case_or_with_a_drive(row: str, files: list[str], labelled: list[str]) -> None:
    found, absent = match_rows([LabelRow(normal(row), "x", None)], "", files)
    assert list(found) == labelled
    assert len(absent) == (not labelled)


def test_a_looser_match_never_displaces_the_file_itself() -> None:
    rows = [LabelRow("1.PNG", "right", None), LabelRow("1.png", "wrong", None)]
    for order in (rows, rows[::-1]):
        found, absent = match_rows(order, "", ["1.PNG"])
        assert (found["1.PNG"].label, absent) == ("right", ("1.png",))


def test_one_bad_file_never_stops_the_others() -> None:
    good, bad, _ = take(
        ("a/1", image(1)),
        ("a/2.dcm", b"%PDF-1.7"),
        ("a/3", image(3)[:400]),
        ("a/DICOMDIR", image(4)),
        ("b/scan.nii.gz", b"\x1f\x8b" + b"\0" * 50),
        ("b/page", b"<!DOCTYPE html><html>"),
        ("b/5", image(5)),
        ("__MACOSX/b/._5", b"x"),
        ("b/.DS_Store", b"x"),
        ("b/Thumbs.db", b"x"),
    )
    assert list(good) == ["a/1", "b/5"]
    assert "PDF" in bad["a/2.dcm"]
    assert "DICOMDIR" in bad["a/DICOMDIR"]
    assert "gzip" in bad["b/scan.nii.gz"]
    assert "HTML" in bad["b/page"]
    assert len(bad) == 5


def test_values_beyond_float32_are_refused_and_the_other_files_kept() -> None:
    """The largest float32 is 3.4028e38: the highest value of the gradient is 499, the lowest -500."""
    double = dataset(None, Rows=2, Columns=2, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2")
    double.BitsAllocated, double.DoubleFloatPixelData = 64, np.array([1, 2, 3, 1e39]).tobytes()
    files = {
        "a/1": image(1),
        "a/product": image(2, RescaleSlope="1E37", RescaleIntercept=0),
        "a/span": image(3, RescaleSlope="6E35", RescaleIntercept=0),  # from -3e38 to 3e38
        "a/double": encoded(double),
        "a/volume.nii": nibabel.Nifti1Image(np.array([[[0.0, 1e39]]]), np.eye(4)).to_bytes(),
        "b/large": image(4, RescaleSlope="3E35", RescaleIntercept=0),
    }
    good, bad, _ = take(*files.items())
    assert list(good) == ["a/1", "b/large"]
    assert set(bad) == {"a/product", "a/span", "a/double", "a/volume.nii"}
    assert all("beyond what 32-bit floats hold" in reason for reason in bad.values())
    for item in good.values():
        assert np.ptp(model_image(item.scan, 8)) > 0.5
        assert looked_at([item])


def test_order_follows_names_not_the_upload() -> None:
    names = ["b/2", "a/10", "a/1"]
    good, _, _ = take(*((name, image(place)) for place, name in enumerate(names)))
    assert list(good) == ["a/1", "a/10", "b/2"]


def test_zips_of_one_class_each() -> None:
    good, _, _ = take(("sick.zip", zipped({"1": image(1)})), ("well.zip", zipped({"1": image(2)})))
    assert {name: item.label for name, item in good.items()} == {"sick/1": "sick", "well/1": "well"}


def test_an_empty_zip_among_others_is_named() -> None:
    good, bad, _ = take(("sick.zip", zipped({"1": image(1)})), ("nothing.zip", zipped({})))
    assert list(good) == ["sick/1"]
    assert "without a file" in bad["nothing.zip"]


@pytest.mark.parametrize("code", ["utf-8", "cp437"])
def test_names_in_zips_without_the_utf8_flag(code: str) -> None:
    name = "\u00d6dem".encode(code)
    stand_in = b"x" * len(name)  # the library would set the flag by itself
    packed = zipped({f"{stand_in.decode()}/1": image(1), "naevus/2": image(2)}).replace(stand_in, name)
    good, bad, _ = take(("mac.zip", packed))
    assert bad == {}
    assert {file: item.label for file, item in good.items()} == {
        "\u00d6dem/1": "\u00d6dem",
        "naevus/2": "naevus",
    }


def test_open_files_are_read_and_left_open() -> None:
    stream = io.BytesIO(image())
    stream.read(7)
    found = list(iter_intake([("a/1", stream)], key=KEY, reader=in_process()))
    assert isinstance(found[0], LabelledScan)
    assert not stream.closed


def test_folder_zip_and_file_agree(tmp_path) -> None:
    files = {"a/1": image(1), "b/2": image(2)}
    for name, data in files.items():
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "scans.zip").write_bytes(zipped(files))
    one, two = (read_source(tmp_path / name, key=KEY, reader=in_process()) for name in ("scans", "scans.zip"))
    assert [(i.scan.file, i.scan.id, i.label, i.scan.group) for i in one.accepted] == [
        (i.scan.file, i.scan.id, i.label, i.scan.group) for i in two.accepted
    ]
    assert len(one.accepted) == 2
    single = read_source(tmp_path / "scans" / "a" / "1", key=KEY, reader=in_process())
    assert [(item.scan.file, item.label) for item in single.accepted] == [("1", None)]
    with pytest.raises(MedMetaError, match="no such"):
        read_source(tmp_path / "nowhere", key=KEY)


def test_warnings_about_the_whole() -> None:
    _, _, said = take(("a/1", image(1, PatientID="x")), ("b/2", image(2, PatientID="x")))
    assert "one and the same Patient ID" in said
    out = io.BytesIO()
    Image.fromarray(gradient(kind="u1")).save(out, "PNG")
    _, _, said = take(("a/1.png", out.getvalue()))
    assert "name no patient" in said
    _, _, said = take(("a/1", image(1, BurnedInAnnotation="YES")))
    assert said.startswith("a/1: the file says text is burned")
    _, _, said = take((f"{'x' * 81}/1", image(1)), ("b/2", image(2)))
    assert "cannot be a label" in said
    _, _, said = take()
    assert "no file that could be a scan" in said


def test_a_short_key_is_no_file_s_fault() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        list(iter_intake([("a/1", image())], key=b"short"))


def test_progress_can_stop_the_intake() -> None:
    seen: list[float] = []

    def watch(fraction: float, _: str) -> None:
        seen.append(fraction)
        if fraction >= 0.5:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        list(
            iter_intake(
                [(f"a/{n}", image(n)) for n in range(4)], key=KEY, progress=watch, reader=in_process()
            )
        )
    assert seen == [0.0, 0.25, 0.5]


def test_labels_are_cleaned() -> None:
    assert clean_label("  a b ", Limits()) == "a b"
    assert clean_label(" ", Limits()) is None
    for bad in ("a\nb", "a\u202eb", "x" * 81):
        with pytest.raises(RefusedError):
            clean_label(bad, Limits())


def test_the_sample_of_real_pictures(shared_data) -> None:
    intake = read_source(shared_data / "meta-test" / "kermany_cxr.zip", key=KEY, reader=in_process())
    assert len(intake.accepted) == 1200
    assert {item.scan.group_source for item in intake.accepted} == {"labels.csv"}
    assert all(item.scan.pixels.dtype == np.uint8 for item in intake.accepted)
