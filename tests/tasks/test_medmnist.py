"""MedMNIST files are read whole or refused, and never unpickled."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medmeta.errors import ModelError, TaskError
from medmeta.scans.scan import Scan
from medmeta.tasks.medmnist import read_npz
from medmeta.tasks.sources import open_set


def arrays(colour: bool = True, **changed: NDArray[Any]) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(0)
    made: dict[str, NDArray[Any]] = {}
    for split, n in (("train", 6), ("val", 2), ("test", 4)):
        made[f"{split}_images"] = random.integers(0, 256, (n, 28, 28, 3)[: 4 if colour else 3], np.uint8)
        made[f"{split}_labels"] = (np.arange(n, dtype=np.uint8) % 2)[:, None]
    return {**made, **changed}


def write(path: Path, content: dict[str, NDArray[Any]]) -> Path:
    np.savez_compressed(path, **content)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("colour", [True, False])
def test_the_three_splits_become_one_set(tmp_path: Path, colour: bool) -> None:
    content = arrays(colour)
    (data,) = open_set(write(tmp_path / "bloodmnist.npz", content))
    assert (data.name, data.domain, data.classes) == ("bloodmnist", "blood", ("0", "1"))
    assert data.targets.tolist() == [0, 1] * 6
    assert len(set(data.groups)) == 12
    item = data.items[7]
    assert isinstance(item, Scan)
    assert item.file == "bloodmnist.npz/val/1"
    assert np.array_equal(item.pixels[0], content["val_images"][1])


def test_the_domain_can_be_said_and_classes_named(tmp_path: Path) -> None:
    path = write(tmp_path / "bloodmnist.npz", arrays())
    assert open_set(path, domain="smears")[0].domain == "smears"
    assert read_npz(path, classes={"0": "basophil", "1": "platelet"}).classes == ("basophil", "platelet")


def test_copies_count_once_and_contradictions_are_refused(tmp_path: Path) -> None:
    content = arrays()
    content["test_images"][0] = content["train_images"][2]  # both are class 0
    assert len(read_npz(write(tmp_path / "a.npz", content)).scans) == 11
    content["test_images"][0] = content["train_images"][1]
    with pytest.raises(TaskError, match=r"two labels: b\.npz/train/1 \(1\) and b\.npz/test/0 \(0\)"):
        read_npz(write(tmp_path / "b.npz", content))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"train_images": np.zeros((6, 28, 28, 28), np.uint8)}, "3-D volumes are not supported"),
        ({"train_images": np.zeros((6, 28, 28), np.float32)}, "must be uint8"),
        ({"train_labels": np.zeros((6, 14), np.uint8)}, "several labels an image"),
        ({"train_labels": np.zeros((5, 1), np.uint8)}, "one for each of 6 images"),
        ({"train_labels": np.zeros((6, 1), np.float32)}, "must be integers"),
        (
            {"val_images": np.array([print, print], dtype=object)},
            "holds pickled objects, which are never opened",
        ),
    ],
)
def test_another_kind_of_array_is_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        read_npz(write(tmp_path / "x.npz", arrays(**changed)))


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (marker,)

    bomb = np.empty(6, dtype=object)
    bomb[:] = [Bomb() for _ in range(6)]
    path = write(tmp_path / "x.npz", arrays(train_labels=bomb))
    with pytest.raises(TaskError, match="pickled"):
        read_npz(path)
    assert not marker.exists()
    np.load(path, allow_pickle=True)["train_labels"]
    assert marker.exists()  # it would have gone off


def test_a_claimed_size_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 28, 28)}
    )
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train_images.npy", header.getvalue())
    with pytest.raises(TaskError, match=r"train_images claims .*GiB; at most 2 GiB"):
        read_npz(path)
    with pytest.raises(TaskError, match="at most 1 KiB"):
        read_npz(write(tmp_path / "y.npz", arrays()), most_bytes=1024)


def test_damaged_and_incomplete_files_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "x.npz", arrays()).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "no.npz").write_bytes(b"no zip")
    for name in ("cut.npz", "no.npz"):
        with pytest.raises(TaskError, match="damaged"):
            read_npz(tmp_path / name)
    content = arrays()
    del content["val_labels"]
    with pytest.raises(TaskError, match="holds no val_labels"):
        read_npz(write(tmp_path / "part.npz", content))
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array(header, arrays()["train_images"])
        archive.writestr("train_images.npy", header.getvalue()[:-100])
    with pytest.raises(TaskError, match="cut short"):
        read_npz(tmp_path / "short.npz")
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        archive.writestr("train_images.npy", b"not an array at all")
    with pytest.raises(TaskError, match="is no array"):
        read_npz(tmp_path / "odd.npz")


def test_a_registered_name_goes_through_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "bloodmnist.npz", arrays())
    package = ModuleType("medmnist")
    monkeypatch.setitem(sys.modules, "medmnist", package)

    def blood(split: str, download: bool) -> SimpleNamespace:
        assert download
        return SimpleNamespace(root=str(tmp_path))

    def offline(split: str, download: bool) -> SimpleNamespace:
        raise RuntimeError("Automatic download failed!")

    label = {"0": "basophil", "1": "eosinophil"}
    package.INFO = {"bloodmnist": {"python_class": "BloodMNIST", "label": label}}  # type: ignore[attr-defined]
    package.BloodMNIST = blood  # type: ignore[attr-defined]
    assert open_set("BloodMNIST")[0].classes == ("basophil", "eosinophil")
    package.BloodMNIST = offline  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=r"could not be fetched; connect.*bloodmnist\.npz"):
        open_set("bloodmnist")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(ModelError, match=r"medmeta\[medmnist\]"):
        open_set("bloodmnist")
