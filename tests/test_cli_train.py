"""The shell's way to meta-train, with a stub for the meta-model and for the backbone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from helpers import stripes
from tiny_network import tiny_backbone
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.cli import main
from medmeta.cli_train import add_train
from medmeta.errors import MedMetaError, ModelError, TaskError
from medmeta.models.backbones import CARDS
from medmeta.models.episodic import EpisodeResult, EpisodicModel
from medmeta.progress import Progress, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.meta_task import FeatureTask

SIZE = 8


class Stub(EpisodicModel):
    """Prototypes after a learned linear map."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        self.map = nn.Parameter(torch.eye(SIZE))
        self.inner_steps, self.inner_lr = 0, 0.0
        self.seen: list[tuple[int, ...]] | None = None

    def episode(self, task: FeatureTask, generator: torch.Generator) -> EpisodeResult:
        z, query = task.support @ self.map, task.query @ self.map
        members = F.one_hot(task.support_targets, task.ways).float()
        logits = -torch.cdist(query, members.T @ z / members.sum(dim=0)[:, None])
        return EpisodeResult(
            logits.detach().mean(), F.cross_entropy(logits, task.query_targets), logits.detach()
        )


class Look:
    """Features: mean grey of eighths of the columns; counts what it was asked."""

    backbone = SimpleNamespace(sha256="ab" * 32)

    def __init__(self) -> None:
        self.asked = 0

    def extract(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        self.asked += len(scans)
        rows = [torch.tensor(scan.pixels[0].astype("float32")) for scan in scans]
        return torch.stack([row.view(48, SIZE, 6).std(dim=(0, 2)) / 100 for row in rows])


@pytest.fixture(autouse=True)
def stubs(monkeypatch: pytest.MonkeyPatch) -> tuple[Look, list[Stub]]:
    look, built = Look(), []
    build = ModuleType("medmeta.training.build")

    def build_model(config: dict[str, Any], *, features: list[tuple[Tensor, Tensor]] | None) -> Stub:
        built.append(Stub(config))
        built[-1].seen = features and [(*rows.shape, len(targets)) for rows, targets in features]
        return built[-1]

    build.build_model = build_model  # type: ignore[attr-defined]
    build.rows_for = lambda config, extractor: extractor  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "medmeta.training.build", build)
    monkeypatch.setattr("medmeta.models.backbones.load_backbone", lambda *_, **__: look.backbone)
    monkeypatch.setattr("medmeta.models.features.FeatureExtractor", lambda backbone, device: look)
    return look, built


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("data")
    for name, start in (("blood", 0), ("chest", 100)):
        for upright in (True, False):
            place = folder / name / ("upright" if upright else "flat")
            place.mkdir(parents=True)
            for i in range(6):
                (place / f"{i}.png").write_bytes(stripes(start + i + 50 * upright, upright=upright))
    return [str(folder / "blood"), str(folder / "chest")]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write(tmp_path / "config.json", {"left_out": ["chest"], "validation_tasks": 3, "epochs": 2})


def write(path: Path, training: dict[str, Any], **sections: Any) -> Path:
    tasks = {
        "num_tasks_per_epoch": 4,
        "tasks_per_batch": 2,
        "shots": 2,
        "queries": 3,
        "sampler": "difficulty",
    }
    inner = {"max_steps": 3, "lr": 0.05}
    path.write_text(json.dumps({"inner_loop": inner, "tasks": tasks, "training": training, **sections}))
    return path


def train(data: list[str], config: Path, out: Path, *more: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text)
        added.set_defaults(run=run)
        return added

    add_train(command)
    arguments = [
        "train",
        "--data",
        *data,
        "--config",
        str(config),
        "--out",
        str(out),
        "--device",
        "cpu",
        *more,
    ]
    options = parser.parse_args(arguments)
    result: dict[str, Any] = options.run(options)
    json.dumps(result, allow_nan=False)
    return result


def test_it_trains_resumes_and_looks_at_every_scan_once(
    data: list[str],
    config: Path,
    tmp_path: Path,
    stubs: tuple[Look, list[Stub]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    look, built = stubs
    result = train(data, config, tmp_path / "out")
    assert (result["epochs"], result["steps"], len(result["history"])) == (2, 4, 2)
    assert (result["train"], result["left_out"], result["processes"]) == (["blood"], ["chest"], 1)
    assert result["best_accuracy"] == max(row["validation_accuracy"] for row in result["history"])
    assert (tmp_path / "out" / "best.safetensors").exists()
    assert look.asked == 24
    assert (built[0].inner_steps, built[0].inner_lr) == (3, 0.05)
    assert built[0].config["inner_loop"]["max_steps"] == 3
    assert built[0].config["meta_model"]["backbone"] == "efficientnet_lite0"
    assert built[0].seen == [(12, SIZE, 12)]  # the left-out set has no say
    assert "research" in capsys.readouterr().out.lower()
    again = train(data, config, tmp_path / "out")
    assert look.asked == 24
    assert {**again, "history": None} == {**result, "history": None}


def test_epochs_seed_and_another_configuration(data: list[str], config: Path, tmp_path: Path) -> None:
    assert train(data, config, tmp_path / "a", "--epochs", "1")["epochs"] == 1
    with pytest.raises(ModelError, match="other settings"):
        train(data, config, tmp_path / "a")
    one, other = (train(data, config, tmp_path / f"s{seed}", "--seed", str(seed)) for seed in (1, 2))
    assert one["history"][0]["query_loss"] != other["history"][0]["query_loss"]


def test_nothing_left_out_synthetic_tasks_and_texts(data: list[str], tmp_path: Path) -> None:
    training = {"epochs": 1, "interpolation": 0.5, "gan_rows": 2, "gan_steps": 3}
    result = train(data, write(tmp_path / "c.json", training), tmp_path / "out")
    assert (result["best_accuracy"], result["train"]) == (None, ["blood", "chest"])
    table = tmp_path / "notes.csv"
    table.write_text("text,label\n" + "".join(f"note {i} on it,{'ab'[i % 2]}\n" for i in range(12)))
    with pytest.raises(TaskError, match="text encoder"):
        train([str(table)], write(tmp_path / "c.json", {"epochs": 1}), tmp_path / "texts")
    encoded = write(tmp_path / "c.json", {"epochs": 1, "text_encoder": "hashed"})
    with pytest.raises(TaskError, match="features of one length"):
        train([data[0], str(table)], encoded, tmp_path / "both")


@pytest.mark.parametrize(
    ("training", "sections", "words"),
    [
        ({"left_out": ["knee"]}, {}, "names knee; the data are blood, chest"),
        ({"left_out": ["blood", "chest"]}, {}, "no data set to train on"),
        ({"patience": "long"}, {}, "training.patience must be of the kind int, found 'long'"),
        ({"epoch": 3}, {}, "training must be a mapping with the keys epochs"),
        ({"text_encoder": "bert"}, {}, "there are: hashed, minilm"),
        ({}, {"outer": {}}, "keys meta_model, inner_loop, tasks, training"),
        ({}, {"inner_loop": {"max_steps": 99}}, "inner_loop.max_steps"),
    ],
)
def test_a_wrong_configuration_is_refused_with_what_is_allowed(
    data: list[str], tmp_path: Path, training: dict[str, Any], sections: dict[str, Any], words: str
) -> None:
    with pytest.raises(MedMetaError, match=words):
        train(data, write(tmp_path / "c.json", training, **sections), tmp_path / "out")


def test_a_configuration_that_is_no_json_is_named(data: list[str], tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(ModelError, match=r"c\.json is not JSON"):
        train(data, tmp_path / "c.json", tmp_path / "out")
    with pytest.raises(ModelError, match=r"absent\.json is missing"):
        train(data, tmp_path / "absent.json", tmp_path / "out")


def test_the_shell_has_the_command(
    data: list[str], config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--data", *data, "--out", str(tmp_path / "out"), "--device", "cpu", "--config"]
    result = tmp_path / "result.json"
    assert main([*arguments, str(config), "--epochs", "1", "--json", str(result)]) == 0
    assert json.loads(result.read_text())["epochs"] == 1
    assert main([*arguments, str(tmp_path / "absent.json")]) == 1
    assert "absent.json is missing" in capsys.readouterr().err


def test_a_dynamic_stage_trains_on_its_maps(
    data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real model and extractor, on a tiny trunk
    backbone = CARDS["efficientnet_lite0"]
    tiny = tiny_backbone()
    tiny = replace(tiny, card=replace(tiny.card, name=backbone.name))
    for place in ("backbones", "cnn_meta"):
        monkeypatch.setattr(f"medmeta.models.{place}.load_backbone", lambda *_, **__: tiny)
    for number, dynamic in enumerate((["conv3", "fc"], ["fc"])):
        model = {"type": "cnn_meta", "backbone": backbone.name, "dynamic_layers": dynamic}
        path = write(tmp_path / "c.json", {"epochs": 1}, meta_model=model)
        result = train(data, path, tmp_path / f"out{number}")
        assert (result["epochs"], result["history"][0]["skipped"]) == (1, 0)
