"""`bench few-shot` as the shell runs it, on small pictures and the real backbone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import stripes
from tiny_network import tiny_extractor

from medmeta.api import extractor
from medmeta.cli import main
from medmeta.cli_bench import add_bench
from medmeta.errors import MedMetaError, ModelError, TaskError
from medmeta.learners.registry import DEFAULT_LEARNER, make_learner
from medmeta.models.features import READING
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.scans.intake import read_source
from medmeta.tasks.episodes import draw_episodes
from medmeta.tasks.sources import open_scans
from medmeta.tasks.task import make_task
from medmeta.training.claims.few_shot import weights_of
from medmeta.training.claims.ground import Sizes

PICTURES = 7


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_bench(parser.add_subparsers(required=True))
    return parser.parse_args(["bench", "few-shot", *arguments])


def run(*arguments: str | Path) -> dict[str, Any]:
    options = parsed([str(argument) for argument in arguments])
    result: dict[str, Any] = options.run(options)
    json.dumps(result, allow_nan=False)
    return result


def pictures(folder: Path, first: int, *, grouped: bool = False) -> Path:
    """Two classes of stripes; grouped, the first two pictures of a class are one patient's."""
    rows = ["file,label,group"]
    for kind in ("lying", "upright"):
        (folder / kind).mkdir(parents=True)
        for number in range(PICTURES):
            name = f"{kind}/{number}.png"
            seed = first + number + (100 if kind == "upright" else 0)
            (folder / name).write_bytes(stripes(seed, upright=kind == "upright"))
            rows.append(f"{name},{kind},{kind}-{max(number, 1)}")
    if grouped:
        (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("data")
    return pictures(folder / "plain", 0), pictures(folder / "grouped", 1000, grouped=True)


@pytest.fixture(scope="module")
def few_shot(
    data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], str, Path]:
    folder = tmp_path_factory.mktemp("few-shot")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDMETA_WORKSPACE", str(folder / "workspace"))
        result = run(
            *("--data", *data, "--learners", "default,prototypes", "--shots", "1,2", "--queries", "3"),
            *("--episodes", "4", "--episodes-for", "prototypes=3", "--seed", "7", "--device", "cpu"),
            *("--jobs", "2", "--markdown", folder / "new" / "table.md"),
        )
    return result, (folder / "new" / "table.md").read_text(), folder


def test_kept_answers_are_not_measured_again(data: tuple[Path, Path], tmp_path: Path) -> None:
    keep = (
        "--data",
        data[0],
        "--shots",
        "2",
        "--queries",
        "3",
        "--device",
        "cpu",
        "--keep",
        tmp_path / "kept",
    )
    first = run(*keep, "--learners", "prototypes", "--episodes", "2")
    again = run(*keep, "--learners", "ridge,prototypes", "--episodes", "3")["results"][1]
    assert again["per_episode"][:2] == first["results"][0]["per_episode"]
    assert len(list((tmp_path / "kept").iterdir())) == 2
    third = run(*keep, "--learners", "prototypes", "--episodes", "3")["results"][0]
    for key in ("per_episode", "seconds_adapt", "seconds_predict"):
        assert third[key] == again[key]


def test_json_has_what_the_design_names(few_shot: tuple[dict[str, Any], str, Path]) -> None:
    result = few_shot[0]
    assert result["settings"] | {"device": "", "backbone_sha256": ""} == {
        "weights": {DEFAULT_LEARNER: weights_of(DEFAULT_LEARNER), "prototypes": ""},
        "data": ["plain", "grouped"],
        "learners": [DEFAULT_LEARNER, "prototypes"],
        "shots": [1, 2],
        "ways": "all",
        "queries": 3,
        "episodes": 4,
        "episodes_for": {"prototypes": 3},
        "seed": 7,
        "jobs": result["settings"]["jobs"],
        "device": "",
        "backbone_sha256": "",
        "reading": READING,
    }
    assert [(r["shots"], r["data"], r["learner"], r["n_episodes"]) for r in result["results"]] == [
        (shots, data, learner, episodes)
        for shots in (1, 2)
        for data in ("plain", "grouped")
        for learner, episodes in ((DEFAULT_LEARNER, 4), ("prototypes", 3))
    ]
    for row in result["results"]:
        assert len(row["per_episode"]) == row["n_episodes"]
        assert row["accuracy_mean"] == pytest.approx(np.mean(row["per_episode"]))
        assert set(row) >= {"ci95", "seconds_adapt"}
    assert [(p["shots"], p["data"], p["learner"], p["against"]) for p in result["paired"]] == [
        (shots, data, DEFAULT_LEARNER, "prototypes") for shots in (1, 2) for data in ("plain", "grouped")
    ]
    assert set(result["paired"][0]) >= {"difference", "ci95", "ci95_patients", "n_episodes"}
    assert set(result["paired_all"][0]) >= {
        "learner",
        "against",
        "difference",
        "ci95_datasets",
        "ci95_bootstrap",
    }
    assert result["machine"]
    assert result["date"]
    assert set(result["versions"]) == {"medmeta", "torch", "numpy", "python"}
    assert [(d["scans"], d["patients"]) for d in result["data_sets"]] == [(14, 14), (14, 12)]


def test_accuracies_are_those_of_adapting_by_hand(
    few_shot: tuple[dict[str, Any], str, Path], data: tuple[Path, Path]
) -> None:
    task = make_task(read_source(data[1], key=bytes(32)).accepted, "grouped")
    learner = make_learner("default", extractor("cpu"))
    found = next(r for r in few_shot[0]["results"] if (r["shots"], r["data"]) == (2, "grouped"))
    for number, episode in enumerate(draw_episodes(task, shots=2, queries=3, episodes=4, seed=7)):
        answer = learner.adapt(task.subset(episode.support)).predict([task.scans[i] for i in episode.query])
        right = [label == task.labels[i] for label, i in zip(answer.labels, episode.query, strict=True)]
        assert found["per_episode"][number] == pytest.approx(sum(right) / 6)


def test_tables_are_written_and_the_workspace_is_not(few_shot: tuple[dict[str, Any], str, Path]) -> None:
    result, table, folder = few_shot
    assert "| learner | plain | grouped |" in table
    assert f"seed 7; {result['date']}" in table
    assert not (folder / "workspace").exists()


def test_the_table_goes_to_standard_output(
    data: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(
        *("--data", data[0], "--learners", "ridge", "--shots", "1", "--queries", "1", "--episodes", "2"),
        *("--ways", "2", "--jobs", "1"),
    )
    assert result["paired"] == result["paired_all"] == []
    out = capsys.readouterr().out
    assert "1-shot accuracy in %, 2 ways, 1 queries a class, 2 episodes" in out
    assert RESEARCH_USE_ONLY in out


def test_a_data_set_that_cannot_be_read_is_named(tmp_path: Path, data: tuple[Path, Path]) -> None:
    rest = ("--learners", "ridge", "--episodes", "2")
    with pytest.raises(MedMetaError, match="nowhere"):
        run("--data", data[0], tmp_path / "nowhere", *rest)
    (tmp_path / "words" / "a").mkdir(parents=True)
    (tmp_path / "words" / "a" / "b.txt").write_text("no scan")
    with pytest.raises(TaskError, match="words: no file could be read"):
        run("--data", tmp_path / "words", *rest)
    (tmp_path / "one" / "only").mkdir(parents=True)
    (tmp_path / "one" / "only" / "a.png").write_bytes(stripes(0, upright=True))
    with pytest.raises(TaskError, match="one: a task needs scans of at least 2 classes"):
        run("--data", tmp_path / "one", *rest)
    with pytest.raises(TaskError, match="plain: class lying has 7 patients, but 7 shots"):
        run("--data", data[0], "--shots", "7", *rest)


def test_a_medmnist_file_gives_what_its_pictures_give(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set", 300)
    task, _ = open_scans(folder)
    parts = {"train": slice(0, 9), "val": slice(9, 10), "test": slice(10, None)}
    images, labels = np.stack([scan.pixels[0] for scan in task.scans]), np.asarray(task.targets)
    arrays = {
        f"{name}_{kind}": rows[part]
        for name, part in parts.items()
        for kind, rows in (("images", images), ("labels", labels[:, None]))
    }
    np.savez_compressed(tmp_path / "set.npz", **arrays)
    settings = (
        "--learners",
        "prototypes",
        "--shots",
        "2",
        "--queries",
        "3",
        "--episodes",
        "3",
        "--device",
        "cpu",
    )
    drawn, packed = (run("--data", path, *settings) for path in (folder, tmp_path / "set.npz"))
    assert packed["results"][0]["per_episode"] == drawn["results"][0]["per_episode"]
    assert packed["data_sets"][0] | {"sha256": ""} == {
        "data": "set",
        "classes": ["0", "1"],
        "scans": 2 * PICTURES,
        "patients": 2 * PICTURES,
        "refused": 0,
        "sha256": "",
    }


def test_unknown_learners_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no learner is called 'nobody'"):
        run("--data", tmp_path / "nowhere", "--learners", "ridge,nobody")
    with pytest.raises(TaskError, match="--episodes-for names anchor, which --learners does not"):
        run("--data", tmp_path / "nowhere", "--learners", "ridge", "--episodes-for", "anchor=2")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--shots", "0"),
        ("--shots", "5,5"),
        ("--ways", "some"),
        ("--learners", ","),
        ("--episodes-for", "ridge"),
        ("--episodes", "-3"),
    ],
)
def test_wrong_usage_is_told(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parsed(["--data", "x", "--learners", "ridge", *wrong])
    assert stopped.value.code == 2
    assert wrong[0] in capsys.readouterr().err


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The claims at the smallest sizes, on a tiny trunk."""
    tiny = Sizes(
        episodes=2,
        shots=1,
        queries=2,
        left_outs=1,
        validation_tasks=1,
        our_epochs=1,
        tasks_per_epoch=4,
        seeds=1,
        rank=2,
    )
    monkeypatch.setattr("medmeta.training.claims.ground.QUICK", tiny)
    monkeypatch.setattr("medmeta.api.extractor", lambda device: tiny_extractor())
    monkeypatch.setattr("medmeta.training.claims.curves.Race.gained", True)


@pytest.mark.usefixtures("small")
def test_claims_are_measured_kept_and_written(
    data: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = tmp_path / "out", tmp_path / "new" / "table.md"
    arguments = [
        *("bench", "claims", "--data-train", *data, "--data-test", data[0], "--out", out, "--quick"),
        *("--rows", "sampler,lung", "--device", "cpu", "--jobs", "1", "--markdown", table),
    ]
    assert main([*map(str, arguments), "--json", str(tmp_path / "a.json")]) == 0
    shown = capsys.readouterr().out
    first = json.loads((tmp_path / "a.json").read_text())
    assert [row["claim"] for row in first["rows"]] == ["lung", "sampler"]
    lung, sampler = first["rows"]
    assert (lung["met"], lung["reached"]) == (None, "not measured")
    assert "no medical trunk goes with tiny" in lung["how"]
    assert sampler["met"] in (True, False)
    assert (sampler["n"], sampler["target"]) == (1, "25 % less time")
    assert first["settings"]["quick"]
    assert first["settings"]["sizes"]["shots"] == 1
    assert "sampler: difficulty-adaptive sampling" in shown
    assert RESEARCH_USE_ONLY in shown
    assert "| 25 % less time |" in table.read_text()
    assert main([*map(str, arguments), "--json", str(tmp_path / "b.json")]) == 0
    assert json.loads((tmp_path / "b.json").read_text())["rows"][1] == sampler
    (data[0] / "lying" / "0.png").touch()
    assert main([*map(str, arguments), "--json", str(tmp_path / "c.json"), "--episodes", "1"]) == 0
    assert json.loads((tmp_path / "c.json").read_text())["rows"][1]["identity"] != sampler["identity"]


def test_unknown_rows_and_absent_data_are_named(
    data: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = ["--data-test", str(data[0]), "--out", str(tmp_path), "--quick"]
    assert main(["bench", "claims", "--data-train", str(data[1]), *rest, "--rows", "lung,fame"]) == 1
    assert "no row is called fame; there are: over_maml, convergence" in capsys.readouterr().err
    assert main(["bench", "claims", "--data-train", str(tmp_path / "nowhere"), *rest]) == 1
    assert "nowhere: no such file or folder" in capsys.readouterr().err


def test_defaults_are_the_protocols() -> None:
    options = parsed(["--data", "x", "--learners", "a,b"])
    assert (options.shots, options.ways, options.queries, options.episodes, options.seed) == (
        [5],
        "all",
        15,
        600,
        0,
    )
