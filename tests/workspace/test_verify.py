"""A run's figures come out again, and a label, a figure or a pixel that was changed is noticed and named."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import stripes

from medmeta.api import extractor
from medmeta.errors import CancelledError
from medmeta.evaluation.provenance import task_hash
from medmeta.learners.registry import BASELINES, make_learner
from medmeta.scans.intake import read_source
from medmeta.tasks.task import Task, make_task
from medmeta.workspace.bundle import opened, write_bundle
from medmeta.workspace.kept_scans import kept_task
from medmeta.workspace.records import WorkspaceError
from medmeta.workspace.run import load_run, run_task
from medmeta.workspace.store import Store
from medmeta.workspace.verify import Verification, verify_run

KEY = bytes(32)


def make(name):
    return make_learner(name, extractor("cpu"))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("CANARY-folder")
    rows = ["file,label,group"]
    for n in range(10):
        upright = n % 2 == 0
        name = f"CANARY-{'up' if upright else 'down'}-{n}.png"
        (folder / name).write_bytes(stripes(n, upright=upright))
        rows.append(f"{name},{'upright' if upright else 'level'},CANARY-patient-{n // 2}-{n % 2}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def run(source, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    task = make_task(read_source(source, key=KEY).accepted, "Stripes")
    run_task(task, None, make("medmeta"), [make(name) for name in BASELINES], out)
    return out


@pytest.fixture
def copy(run, tmp_path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def verified(folder: Path, **options) -> Verification:
    return verify_run(folder, make, **options)


def edit(path: Path, change) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_a_fresh_run_comes_out_the_same(run):
    found = verified(run)
    assert found.same
    assert found.versions == ()
    assert found.compared > 200
    assert found.to_json()["same"] is True


def test_a_bundle_comes_out_the_same_elsewhere(run, tmp_path):
    write_bundle(run, tmp_path / "bundle.zip")
    with opened(tmp_path / "bundle.zip") as folder:
        assert verified(folder).same
        assert load_run(folder).patients == load_run(run).patients
    assert not folder.exists()


def test_a_bundle_names_no_file_and_no_patient(run, tmp_path):
    write_bundle(run, tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        names = bundle.namelist()
        everything = b"".join(bundle.read(name) for name in names)
    assert len([name for name in names if name.endswith(".npy")]) == 10
    assert b"patient-001" in everything
    assert b"scan-010" in everything
    assert b"CANARY" not in everything
    assert "CANARY" not in " ".join(names)
    # The canary is one: the run's own folder has it.
    assert "CANARY" in (run / "evaluation.json").read_text()


def test_a_changed_label_is_found(copy):
    def turn(task):
        row = task["support"]["scans"][3]
        row["label"] = "level" if row["label"] == "upright" else "upright"

    edit(copy / "task.json", turn)
    (difference,) = verified(copy).differences
    assert "labels of the support set" in difference.where


def test_a_changed_label_with_its_hash_mended_is_found_in_the_figures(copy):
    def turn(task):
        row = task["support"]["scans"][3]
        row["label"] = "level" if row["label"] == "upright" else "upright"

    edit(copy / "task.json", turn)
    new = task_hash(kept_task(copy).support)
    edit(copy / "evaluation.json", lambda data: data["provenance"].update(support_sha256=new))
    found = verified(copy)
    assert not found.same
    file = kept_task(copy).support.scans[3].file
    assert any(file in difference.where and "label" in difference.where for difference in found.differences)


def test_changed_figures_are_found_and_named_and_no_others(copy):
    def change(data):
        data["accuracy"] -= 0.01
        data["patients"]["correct"] -= 1
        data["confusion"][0].reverse()
        data["per_class"][1]["specificity"] = 0.123
        data["notes"].pop()

    edit(copy / "evaluation.json", change)
    found = verified(copy)
    assert {difference.where for difference in found.differences} == {
        "accuracy",
        "patients.correct",
        "confusion[0][0]",
        "confusion[0][1]",
        "per_class[upright].specificity",
        "notes",
    }
    assert all("saved" in str(difference) for difference in found.differences)


def test_a_changed_pixel_is_found_and_its_file_named(copy):
    path = sorted((copy / "scans").glob("*.npy"))[0]
    pixels = np.load(path)
    pixels.flat[5] += 1
    np.save(path, pixels)
    scan = next(scan for scan in kept_task(copy).support.scans if scan.id == path.stem)
    (difference,) = verified(copy).differences
    assert difference.where == f"pixels of {scan.file}"


def test_another_version_is_named_and_no_difference_by_itself(copy):
    edit(copy / "evaluation.json", lambda data: data["provenance"].update(torch="1.0"))
    found = verified(copy)
    assert found.same
    assert [(version.where, version.saved) for version in found.versions] == [("torch", "1.0")]


def test_the_tolerance_decides(copy):
    edit(copy / "evaluation.json", lambda data: data.update(accuracy=data["accuracy"] - 5e-4))
    assert verified(copy).same
    assert [d.where for d in verified(copy, tolerance=1e-4).differences] == ["accuracy"]


def test_scans_of_the_workspace_are_linked_and_not_copied(tmp_path):
    store = Store(tmp_path / "workspace")
    task_id = store.create_task("Stripes")
    store.add_uploads(task_id, [(f"{n % 2}/{n}.png", stripes(n, upright=n % 2 == 0)) for n in range(6)])
    out = tmp_path / "workspace" / "runs" / "one"
    run_task(store.task(task_id).support, None, make("prototypes"), [], out)
    for path in (out / "scans").glob("*.npy"):
        assert path.stat().st_nlink == 2
    assert verified(out).same


@pytest.mark.parametrize("name", ["task.json", "evaluation.json"])
def test_what_is_missing_is_told(copy, name):
    (copy / name).unlink()
    with pytest.raises(WorkspaceError, match="run the adaptation again"):
        verified(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.update(id="../../etc/passwd"),
        lambda row: row.update(window_function="NONE"),
        lambda row: row["tags"].update(PatientName="CANARY"),
        lambda row: row.pop("label"),
    ],
)
def test_a_hostile_task_file_is_refused(copy, change):
    edit(copy / "task.json", lambda task: change(task["support"]["scans"][0]))
    with pytest.raises(WorkspaceError, match="damaged"):
        kept_task(copy)


def test_a_hostile_bundle_leaves_nothing_outside(tmp_path):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("../outside.json", "{}")
        bundle.writestr("scans/../../outside.npy", "x")
        bundle.writestr("evaluation.json", "{}")
    with opened(path) as folder:
        assert [item.name for item in folder.rglob("*")] == ["evaluation.json"]
    assert not (tmp_path / "outside.json").exists()
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(WorkspaceError, match="no bundle"), opened(tmp_path / "no.zip"):
        pass


def test_a_second_run_into_the_folder_leaves_nothing_of_the_first(run, tmp_path):
    folder = tmp_path / "out"
    theirs = folder / "scans" / "notes.npy"  # not ours: a name that no run gives
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"mine")

    def task(first: int) -> Task:
        sides = [("upright", True), ("level", False)]
        found = [
            (f"{label}/{n}.png", stripes(first + 100 * n, upright=upright))
            for label, upright in sides
            for n in range(2)
        ]
        place = tmp_path / str(first)
        for name, content in found:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        return make_task(read_source(place, key=KEY).accepted, "Stripes")

    for first in (1, 2):
        latest = task(first)
        run_task(latest, None, make("ridge"), [], folder)
    ids = {scan.id for scan in latest.scans}
    assert {path.stem for path in (folder / "scans").iterdir()} == ids | {"notes"}
    assert {path.stem for path in (folder / "thumbs").iterdir()} == ids
    write_bundle(folder, tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as bundle:
        assert {Path(name).stem for name in bundle.namelist() if name.endswith(".npy")} == ids


def test_a_run_that_is_stopped_while_it_saves_leaves_no_older_figures(copy):
    def stop(fraction, message):
        if fraction > 0.96:
            raise CancelledError("enough")

    kept = kept_task(copy).support
    with pytest.raises(CancelledError):
        run_task(kept, None, make("ridge"), [], copy, progress=stop)
    with pytest.raises(WorkspaceError, match="run the adaptation again"):
        load_run(copy)


def test_a_bundle_that_cannot_be_made_leaves_the_one_that_was_there(copy, tmp_path):
    target = tmp_path / "bundle.zip"
    write_bundle(copy, target)
    before = target.read_bytes()
    next((copy / "scans").glob("*.npy")).unlink()
    with pytest.raises(WorkspaceError, match="run the adaptation again"):
        write_bundle(copy, target)
    assert target.read_bytes() == before
    assert list(tmp_path.glob("*.part")) == []


def test_a_bundle_goes_into_a_new_folder_and_not_where_none_can_be(run, tmp_path):
    write_bundle(run, tmp_path / "new" / "bundle.zip")
    assert (tmp_path / "new" / "bundle.zip").is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="choose another place"):
        write_bundle(run, tmp_path / "file" / "bundle.zip")


@pytest.mark.parametrize("name", ["group", "id", "scan_id", "file"])
def test_a_class_may_have_the_name_of_a_field(name, tmp_path):
    source = tmp_path / "source"
    for label, upright in ((name, True), ("level", False)):
        (source / label).mkdir(parents=True)
        for n in range(2):
            (source / label / f"{n}.png").write_bytes(stripes(n, upright=upright))
    task = make_task(read_source(source, key=KEY).accepted, "Stripes", {name: "upright stripes"})
    run_task(task, None, make("ridge"), [], tmp_path / "run")
    write_bundle(tmp_path / "run", tmp_path / "bundle.zip")
    with opened(tmp_path / "bundle.zip") as folder:
        assert verified(folder).same


def test_a_bundle_takes_no_file_from_elsewhere(copy, tmp_path):
    np.save(tmp_path / "elsewhere.npy", np.zeros(3))

    def point(task):
        task["support"]["scans"][0]["id"] = "../../elsewhere"

    edit(copy / "task.json", point)
    with pytest.raises(WorkspaceError, match="run the adaptation again"):
        write_bundle(copy, tmp_path / "bundle.zip")
