"""The shell's path, command by command, on files as a PACS exports them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers import ct_slice

import medmeta
from medmeta.cli import main
from medmeta.models.backbones import ASSETS
from medmeta.tasks.synthetic import sample_uploads

SYNTAXES = {
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
}


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDMETA_WORKSPACE", str(tmp_path / "workspace"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    for name, content in sample_uploads():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (folder / "round nodule" / "IM9999").write_bytes(b"not a scan at all")
    return folder


@pytest.fixture(scope="module")
def run(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDMETA_WORKSPACE", str(folder / "workspace"))
        assert (
            main(
                ["adapt", "--support", str(sample), "--out", str(folder / "out"), "--json", str(folder / "o")]
            )
            == 0
        )
    return folder / "out", json.loads((folder / "o").read_text())


def test_adapt_reports_what_was_measured(run: tuple[Path, dict[str, Any]]) -> None:
    out, result = run
    assert result["classes"] == ["no nodule", "round nodule", "spiculated nodule"]
    assert (result["n_support"], result["n_groups"]) == (24, 18)
    cases = result["per_case"]
    right = [case["label"] == case["predicted"] for case in cases]
    assert result["accuracy"] == pytest.approx(sum(right) / 24)
    assert sum(map(sum, result["confusion"])) == 24
    assert sum(row[i] for i, row in enumerate(result["confusion"])) == sum(right)
    assert all(sum(case["probabilities"].values()) == pytest.approx(1) for case in cases)
    assert all(
        max(case["probabilities"], key=case["probabilities"].get) == case["predicted"] for case in cases
    )
    assert result["interval"][0] < result["accuracy"] < result["interval"][1]
    assert [r["file"] for r in result["support_intake"]["rejected"]] == ["round nodule/IM9999"]
    assert {"model.safetensors", "model.json", "evaluation.json", "cases.csv"} <= {
        p.name for p in out.iterdir()
    }


def test_no_case_leans_on_its_own_patient(run: tuple[Path, dict[str, Any]]) -> None:
    result = run[1]
    group_of = {row["file"]: row["group"] for row in result["support_intake"]["accepted"]}
    for case in json.loads((run[0] / "evaluation.json").read_text())["per_case"]:
        for near in case["nearest"]:
            assert group_of[near["file"]] != group_of[case["file"]]


def test_the_same_seed_gives_the_same_result(
    sample: Path, run: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDMETA_WORKSPACE", str(run[0].parent / "workspace"))  # the same pseudonyms
    main(["adapt", "--support", str(sample), "--out", str(tmp_path / "again"), "--json", str(tmp_path / "o")])
    again = json.loads((tmp_path / "o").read_text())
    assert again["per_case"] == run[1]["per_case"]


def test_predict_agrees_with_the_python_interface(
    sample: Path, run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    new = tmp_path / "new"
    shutil.copytree(sample / "no nodule", new)
    assert main(["predict", "--model", str(run[0]), "--scans", str(new), "--json", str(tmp_path / "p")]) == 0
    card = json.loads((run[0] / "model.json").read_text())
    assert json.loads((tmp_path / "p").read_text())["model"]["sha256"] == card["sha256"]
    shipped = json.loads((ASSETS / "medmeta.json").read_text())["sha256"]
    assert f"medmeta {shipped}" in card["weights"]
    assert card["medmeta"] == medmeta.__version__
    rows = json.loads((tmp_path / "p").read_text())["per_scan"]
    answer = medmeta.load_model(run[0]).predict(medmeta.read_scans(new))
    assert [row["predicted"] for row in rows] == list(answer.labels)
    assert [row["probabilities"] for row in rows] == [
        dict(zip(answer.classes, map(float, p), strict=True)) for p in answer.probabilities
    ]
    assert all(row["nearest"][0]["similarity"] == pytest.approx(1.0) for row in rows)  # the support itself


def test_report_repeats_the_evaluation_and_says_where_it_differs(
    run: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, told = tmp_path / "bundle.zip", tmp_path / "told.json"
    assert main(["report", str(run[0]), "--bundle", str(bundle), "--dicom", str(tmp_path / "dicom")]) == 0
    assert sorted(path.name for path in (tmp_path / "dicom").iterdir()) == ["report.dcm", "summary.dcm"]
    assert main(["report", str(bundle), "--verify", "--json", str(told)]) == 0
    assert "the same: " in capsys.readouterr().out
    result = json.loads(told.read_text())
    assert result["verification"]["same"] is True
    assert [len(checklist["items"]) for checklist in result["checklists"]] == [44, 52]
    copy = shutil.copytree(run[0], tmp_path / "copy")
    saved = json.loads((copy / "evaluation.json").read_text())
    saved["balanced_accuracy"] += 0.02
    (copy / "evaluation.json").write_text(json.dumps(saved))
    assert main(["report", str(copy), "--verify", "--json", str(told)]) == 3
    assert "balanced_accuracy: saved " in capsys.readouterr().out
    (difference,) = json.loads(told.read_text())["verification"]["differences"]
    assert difference["where"] == "balanced_accuracy"


def test_report_holds_the_same_figures(run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    html, pdf = tmp_path / "r.html", tmp_path / "r.pdf"
    assert main(["report", str(run[0]), "--html", str(html), "--pdf", str(pdf)]) == 0
    patients = run[1]["patients"]
    assert f"{patients['correct']} of {patients['n']} patients" in html.read_text(encoding="utf-8")
    assert pdf.read_bytes().startswith(b"%PDF-")


def test_a_separate_query_set(sample: Path, tmp_path: Path) -> None:
    query = tmp_path / "query"
    for name, content in sample_uploads(seed=1):
        path = query / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    arguments = ["adapt", "--support", str(sample), "--query", str(query), "--out", str(tmp_path / "o")]
    assert main([*arguments, "--json", str(tmp_path / "q")]) == 0
    result = json.loads((tmp_path / "q").read_text())
    assert result["protocol"] == "separate query set"
    assert len(result["per_case"]) == 24
    assert result["accuracy"] > 0.5


def test_support_as_query_is_refused_with_the_files(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["adapt", "--support", str(sample), "--query", str(sample), "--out", str(tmp_path / "o")]
    assert main(arguments) == 1
    assert "same pixels are in the support (no nodule/IM0001)" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scan", "nowhere"], "no such folder or file"),
        (["predict", "--model", "nowhere", "--scans", "nowhere"], "missing or unreadable"),
        (["report", "nowhere", "--html", "x.html"], "no folder of a run"),
        (["report", "nowhere"], "--bundle FILE or --verify"),
        (["report", "nowhere", "--html", "x", "--tolerance", "1"], "give both"),
        (["adapt", "--support", ".", "--out", "run"], "choose a folder beside it"),
        (["adapt", "--support", "nowhere", "--out", "/proc/no/run"], "choose another place"),
        (["scan", ".", "--json", "/proc/no/file"], "choose another place"),
        (["train", "--data", ".", "--config", "c", "--out", "run"], "choose a folder beside it"),
    ],
)
def test_mistakes_are_told_in_a_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("medmeta: ")
    assert words in error
    assert "\n" not in error


def test_what_is_true_of_the_whole_upload_is_said(tmp_path: Path, capsys, sample: Path) -> None:
    for part in ("train", "test"):
        shutil.copytree(sample, tmp_path / "scans" / part)
    main(["adapt", "--support", str(tmp_path / "scans"), "--out", str(tmp_path / "o"), "--learner", "ridge"])
    assert "note: the folders test and train were read as one set" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="were read as one set"):
        medmeta.read_task(tmp_path / "scans")


def test_a_letter_that_the_terminal_lacks_costs_nothing(sample: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    where = ["--support", str(sample), "--out", str(tmp_path / "o"), "--json", str(told)]
    done = subprocess.run(
        [sys.executable, "-m", "medmeta", "adapt", *where, "--learner", "ridge"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "MEDMETA_WORKSPACE": str(tmp_path / "w")},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert told.exists()


def test_a_workspace_that_cannot_be_made_is_said(sample: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MEDMETA_WORKSPACE", "/proc/no/workspace")
    assert main(["scan", str(sample)]) == 1
    assert "set MEDMETA_WORKSPACE" in capsys.readouterr().err


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medmeta", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("scan", "adapt", "predict", "report"):
        assert command in done.stdout


def test_scan_takes_every_real_dicom_file(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "dicom" / "kermany_cxr_dicom.zip"
    assert main(["scan", str(source), "--json", str(tmp_path / "s")]) == 0
    text = (tmp_path / "s").read_text()
    result = json.loads(text)
    assert len(result["accepted"]) == 120
    assert result["rejected"] == []
    assert {row["transfer_syntax"] for row in result["accepted"]} == SYNTAXES
    assert {row["modality"] for row in result["accepted"]} == {"CR"}
    with zipfile.ZipFile(source) as archive:
        rows = csv.DictReader(io.StringIO(archive.read("labels.csv").decode()))
        expected = {row["file"]: row["label"] for row in rows}
    assert {row["file"]: row["label"] for row in result["accepted"]} == expected
    assert "PHI-CANARY" not in text


def test_adapt_on_real_dicom_beats_chance(shared_data: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    with zipfile.ZipFile(shared_data / "dicom" / "lc25000_lung_dicom.zip") as archive:
        seen: Counter[str] = Counter()
        for name in sorted(archive.namelist()):
            label = name.split("/")[0]
            seen[label] += 1
            if "/" in name and seen[label] <= 8:
                archive.extract(name, few)
    assert (
        main(["adapt", "--support", str(few), "--out", str(tmp_path / "o"), "--json", str(tmp_path / "j")])
        == 0
    )
    text = (tmp_path / "j").read_text()
    result = json.loads(text)
    assert result["n_support"] == 24
    assert result["accuracy"] > 0.5  # chance is a third
    written = [path for path in (tmp_path / "o").rglob("*") if path.is_file()]
    assert written
    for path in [*written, *(tmp_path / "workspace").rglob("*")]:
        assert path.is_dir() or b"PHI-CANARY" not in path.read_bytes()


def test_scan_tells_of_copies_and_text_and_writes_the_report(tmp_path: Path, capsys) -> None:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    random = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "scans" / label).mkdir(parents=True)
        for n in range(3):
            values = random.integers(40, 90, (160, 160)).astype(np.uint8)
            Image.fromarray(values).save(tmp_path / "scans" / label / f"{n}.png")
    shutil.copy(tmp_path / "scans" / "a" / "0.png", tmp_path / "scans" / "b" / "copy.png")
    picture = Image.open(tmp_path / "scans" / "a" / "1.png")
    ImageDraw.Draw(picture).text((8, 6), "DOE^JANE 1961", font=ImageFont.load_default(16), fill=255)
    picture.save(tmp_path / "scans" / "a" / "1.png")
    report, out = tmp_path / "deid.html", tmp_path / "out.json"
    assert main(["scan", str(tmp_path / "scans"), "--json", str(out), "--deid-report", str(report)]) == 0
    result = json.loads(out.read_text())
    (copy,) = [check for check in result["checks"] if check["kind"] == "copy-two-labels"]
    assert copy["severity"] == "error"
    assert copy["files"] == ["a/0.png", "b/copy.png"]
    assert any("a/0.png and b/copy.png hold the same pixels" in warning for warning in result["warnings"])
    assert [each["file"] for each in result["text"]] == ["a/1.png"]
    assert any("a/1.png: text seems" in warning for warning in result["warnings"])
    assert "What it does not promise" in report.read_text()
    assert "note: a/1.png: text" in capsys.readouterr().err
    assert main(["scan", str(tmp_path / "scans"), "--deid-report", str(tmp_path / "deid.json")]) == 0
    assert json.loads((tmp_path / "deid.json").read_text())["report"]["text"]["found"] == 1


def test_scan_compares_the_scans_with_the_model(tmp_path: Path, sample: Path, capsys) -> None:
    """The sample's drawings are new to the model; a picture of text is unlike all of them."""
    from PIL import Image, ImageDraw, ImageFont

    scans = tmp_path / "scans"
    shutil.copytree(sample, scans)
    odd = Image.new("RGB", (300, 200), "white")
    for line in range(8):
        ImageDraw.Draw(odd).text(
            (10, 8 + 22 * line), "Shopping list: bread, milk", "black", ImageFont.load_default(18)
        )
    odd.save(next(path for path in scans.iterdir() if path.is_dir()) / "list.png")
    assert main(["scan", str(scans), "--compare", "--json", str(tmp_path / "out.json")]) == 0
    checks = {check["kind"]: check for check in json.loads((tmp_path / "out.json").read_text())["checks"]}
    assert [Path(file).name for file in checks["stray"]["files"]] == ["list.png"]
    assert checks["new-kind"]["severity"] == "note"
    said = capsys.readouterr().err
    assert "list.png looks like none of the other scans" in said
    assert "those it was trained on, brain MRI, chest CT, knee X-rays" in said
    assert main(["scan", str(scans), "--json", str(tmp_path / "plain.json")]) == 0
    plain = json.loads((tmp_path / "plain.json").read_text())["checks"]
    assert not {"stray", "new-kind"} & {check["kind"] for check in plain}


def test_a_series_is_one_volume_in_the_shell_too(tmp_path: Path) -> None:
    """Four patients with a series of three slices each, the middle one by position named apart from the rest."""
    for patient in range(4):
        label = "ab"[patient % 2]
        for height in (2, 0, 1):
            data = ct_slice(f"P{patient}", f"1.2.{patient}", height, 100 * patient + 10 * height)
            path = tmp_path / "support" / label / f"p{patient}-{'middle' if height == 1 else height}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    arguments = ["adapt", "--support", str(tmp_path / "support"), "--out", str(tmp_path / "run")]
    assert main([*arguments, "--learner", "prototypes", "--json", str(tmp_path / "result.json")]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["n_support"], result["n_groups"]) == (4, 4)
    assert all(case["file"].endswith("middle") for case in result["per_case"])
    assert len(result["support_intake"]["accepted"]) == 12
    assert any("12 files are slices of 4 volumes" in text for text in result["support_intake"]["warnings"])
    said = ["predict", "--model", str(tmp_path / "run"), "--scans", str(tmp_path / "support" / "a")]
    assert main([*said, "--json", str(tmp_path / "answers.json")]) == 0
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert [row["file"] for row in answers["per_scan"]] == ["p0-middle", "p2-middle"]
