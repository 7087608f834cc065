"""What `train` writes is a learner: adapted, measured, verified and read again by the shell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import stripes

from medmeta import api
from medmeta.cli import main
from medmeta.errors import ModelError
from medmeta.learners.registry import find_learner, load_task_model
from medmeta.learners.trained import TRAINED_FILE

CONFIG = {
    "meta_model": {"type": "cnn_meta", "backbone": "conv4", "dynamic_layers": ["fc"], "pretrained": False},
    "inner_loop": {"max_steps": 1},
    "tasks": {"num_tasks_per_epoch": 2, "tasks_per_batch": 2, "shots": 2, "queries": 2},
    "training": {"epochs": 1},
}


def folder(place: Path, first: int, count: int) -> Path:
    for label, upright in (("level", False), ("upright", True)):
        (place / label).mkdir(parents=True)
        for n in range(count):
            (place / label / f"{n}.png").write_bytes(stripes(first + n, upright=upright))
    return place


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("training")
    (place / "config.json").write_text(json.dumps(CONFIG))
    data, out = folder(place / "data", 0, 8), place / "mine"
    arguments = ["--data", str(data), "--config", str(place / "config.json"), "--out", str(out)]
    assert main(["train", *arguments, "--device", "cpu"]) == 0
    return out


def test_the_shell_adapts_reads_and_verifies_with_it(training, tmp_path, capsys):
    support, new = folder(tmp_path / "support", 100, 4), folder(tmp_path / "new", 200, 1)
    run, saved = tmp_path / "run", tmp_path / "result.json"
    base = ["--support", str(support), "--out", str(run), "--device", "cpu", "--json", str(saved)]
    assert main(["adapt", *base, "--learner", str(training)]) == 0
    result = json.loads(saved.read_text())
    assert result["n_groups"] == 8
    assert [line.split()[0] for line in result["provenance"]["weights"]] == ["conv4", "mine"]
    assert (
        main(["predict", "--model", str(run), "--scans", str(new), "--device", "cpu", "--json", str(saved)])
        == 0
    )
    said = [each["probabilities"] for each in json.loads(saved.read_text())["per_scan"]]

    model = api.adapt(api.read_task(support), learner=str(training), device="cpu")
    assert model.learner.startswith("mine (")
    expected = model.predict(api.read_scans(new)).probabilities
    np.testing.assert_allclose([list(each.values()) for each in said], expected, atol=1e-9)

    assert main(["report", str(run), "--verify", "--device", "cpu"]) == 1
    assert "no learner is called 'mine (" in capsys.readouterr().err
    assert main(["report", str(run), "--verify", "--device", "cpu", "--learner", str(training)]) == 0


def test_it_is_measured_beside_others(training, tmp_path):
    data, saved = folder(tmp_path / "data", 300, 5), tmp_path / "few.json"
    few = ["--shots", "2", "--queries", "2", "--episodes", "2", "--device", "cpu", "--json", str(saved)]
    names = f"{training},prototypes"
    assert main(["bench", "few-shot", "--data", str(data), "--learners", names, *few]) == 0
    learners = json.loads(saved.read_text())["settings"]["learners"]
    assert learners[0].startswith("mine (")
    assert learners[1] == "prototypes"


def test_a_folder_without_one_and_an_altered_one_are_refused(training, tmp_path):
    shared = api.extractor("cpu")
    with pytest.raises(ModelError, match="written when a training has ended"):
        find_learner(str(tmp_path), shared)
    with pytest.raises(ModelError, match="no learner is called 'nothing'"):
        find_learner("nothing", shared)
    for name in (TRAINED_FILE, TRAINED_FILE.replace(".safetensors", ".json")):
        (tmp_path / name).write_bytes((training / name).read_bytes())
    whole = (tmp_path / TRAINED_FILE).read_bytes()
    (tmp_path / TRAINED_FILE).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelError):
        find_learner(str(tmp_path), shared)


def test_a_saved_task_model_finds_its_own_backbone(training, tmp_path):
    model = api.adapt(
        api.read_task(folder(tmp_path / "support", 100, 3)), learner=str(training), device="cpu"
    )
    model.save(tmp_path)
    again = load_task_model(tmp_path, api.extractor("cpu"))
    scans = api.read_scans(folder(tmp_path / "new", 200, 1))
    np.testing.assert_array_equal(model.predict(scans).probabilities, again.predict(scans).probabilities)
