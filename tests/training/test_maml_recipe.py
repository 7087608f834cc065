"""The MAML family's recipe on a tiny trunk: trains, resumes, and the weights serve the learner of that name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_network import task, tiny_extractor

from medmeta.errors import ModelError
from medmeta.learners.tuned import InnerLoopLearner
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.training.build import MapRows
from medmeta.training.maml_recipe import FAMILY, FamilyRecipe, start_family, train_family

RECIPE = FamilyRecipe(
    param_space={"num_classes": [5], "shots": [2]}, queries=2, inner_steps=2, epochs=2, tasks_per_epoch=4
)


@pytest.mark.parametrize("method", list(FAMILY))
def test_trained_weights_serve_the_learner(method: str, tmp_path: Path) -> None:
    extractor = tiny_extractor()
    data = LabelledSet.from_task(task(shots=6), "made up")
    scans = task(shots=6).scans
    rows = {data.name: MapRows(extractor, "conv3").extract(scans)}
    model = start_family(method, extractor.backbone, RECIPE)
    before = {name: value.clone() for name, value in model.named_parameters()}
    report = train_family(model, [data], rows, RECIPE, tmp_path / "run")
    assert (report.steps, report.epochs) == (2, 2)
    assert any(not torch.equal(value, before[name]) for name, value in model.named_parameters())
    model.loop.save(tmp_path / "w.safetensors", extractor.backbone, {"method": method})
    learner = InnerLoopLearner.read(method, extractor, tmp_path / "w.safetensors")
    answer = learner.adapt(task(shots=3)).predict(task(shots=1, first=70).scans)
    assert len(answer.labels) == 3
    again = start_family(method, extractor.backbone, RECIPE)
    resumed = train_family(again, [data], rows, RECIPE, tmp_path / "run")
    assert resumed.history == report.history
    with pytest.raises(ModelError, match="other settings"):
        train_family(again, [data], rows, replace(RECIPE, meta_lr=0.1), tmp_path / "run")


def test_the_family_is_named() -> None:
    assert list(FAMILY) == ["maml", "fomaml", "anil", "reptile"]
    with pytest.raises(ModelError, match="has no 'sgd'; there are: maml, fomaml, anil, reptile"):
        start_family("sgd", tiny_extractor().backbone, RECIPE)
