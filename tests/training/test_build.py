"""A config becomes a model that meta-trains and adapts, as written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_network import scan, task

from medmeta.learners.cnn_meta import CnnMetaLearner
from medmeta.models.backbones import Backbone, load_backbone
from medmeta.models.cnn_meta import CnnMetaModel
from medmeta.models.features import FeatureExtractor
from medmeta.models.model_config import MetaConfig, parse_config
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import MetaTask
from medmeta.training.build import MapRows, build_model, rows_for
from medmeta.training.tensors import FeatureBank
from medmeta.training.trainer import MetaTrainer

CONFIG = {
    "meta_model": {
        "type": "cnn_meta",
        "backbone": "resnet34",
        "dynamic_layers": ["conv3", "fc"],
        "pretrained": False,
    },
    "inner_loop": {"optimizer": "AdamW", "max_steps": 8},
}


def small(config: MetaConfig, side: int = 64) -> Backbone:
    """The config's backbone at a smaller input."""
    backbone = load_backbone(config.meta_model.backbone, pretrained=config.meta_model.pretrained)
    return replace(backbone, card=replace(backbone.card, side=side))


def test_the_config_runs_as_written_from_scans_to_meta_training_and_adaptation() -> None:
    config = parse_config(CONFIG)
    backbone = small(config)
    extractor = FeatureExtractor(backbone, torch.device("cpu"))
    model = build_model(CONFIG, backbone=backbone)
    assert isinstance(model, CnnMetaModel)
    assert model.inner_steps == 8
    assert model.start == "conv3"

    source = rows_for(config, extractor)
    data = LabelledSet.from_task(task(("a", "b"), shots=4), "colours")
    found = source.extract(data.items)  # type: ignore[arg-type]
    views = extractor.maps(data.items, "conv3")  # type: ignore[arg-type]
    # One view a pass here, four there: the last bits differ.
    torch.testing.assert_close(found.float(), views[:, 0].flatten(1).float(), rtol=1e-2, atol=1e-2)
    bank = FeatureBank([data], {data.name: found})
    drawn = MetaTask(data.name, "colours", ("a", "b"), (0, 1, 4, 5), (2, 3, 6, 7), (0, 0, 1, 1), (0, 0, 1, 1))
    trainer = MetaTrainer(model, inner_loop_steps=8, device="cpu")
    _, query_loss = trainer.prepare_meta_update([bank.task(drawn)])
    gradient = trainer.compute_meta_gradient(query_loss)
    assert all(bool(value.isfinite().all()) for value in gradient.values())
    for name in ("head.out.bias", "log_rates", "core.start", "core.hypernetwork.out.bias"):
        assert float(gradient[name].abs().max()) > 0.0, name
    assert not any(name.startswith("layer") for name in gradient)
    before = model.head.out.bias.detach().clone()
    assert trainer.update_meta_model(gradient)
    assert not torch.equal(before, model.head.out.bias)

    adapted = CnnMetaLearner("cnn", model.eval(), extractor).adapt(task(("a", "b"), shots=2))
    answer = adapted.predict([scan(0, 900), scan(1, 901)])
    assert answer.classes == ("a", "b")
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1.0)
    assert float(adapted.film["conv3"][0].abs().max()) > 0.0


@pytest.fixture(scope="module")
def default() -> Backbone:
    return load_backbone("efficientnet_lite0", pretrained=False)


def test_the_default_is_the_feature_space_model(default: Backbone) -> None:
    config = {"meta_model": {"pretrained": False, "memory": 5}, "inner_loop": {"max_steps": 3, "lr": 0.2}}
    model = build_model(config, backbone=default)
    assert isinstance(model, CnnMetaModel)
    assert model.start is None
    assert model.core.blocks == (1280,)
    assert model.core.parts.steps == 3
    assert model.core.parts.memory
    assert len(model.core.memory.keys) == 5
    torch.testing.assert_close(model.core.log_rates.exp(), torch.full((3,), 0.2, dtype=torch.float64))
    assert not model.core.variances.any()
    extractor = FeatureExtractor(default, torch.device("cpu"))
    assert rows_for(parse_config(config), extractor) is extractor


def test_features_of_the_meta_train_sets_give_the_core_its_directions(default: Backbone) -> None:
    random = torch.Generator().manual_seed(0)
    sets = [(torch.randn(60, 24, generator=random) + 3, torch.arange(3).repeat(20)) for _ in range(2)]
    model = build_model(
        {"meta_model": {"pretrained": False}}, backbone=default, features=sets, blocks=(16, 8)
    )
    assert isinstance(model, CnnMetaModel)
    assert model.core.blocks == (16, 8)
    assert float(model.core.variances.min()) > 0.0
    torch.testing.assert_close(model.core.centre, torch.cat([x for x, _ in sets]).double().mean(dim=0))


def test_same_seed_same_model_and_the_config_s_seed_counts(default: Backbone) -> None:
    config = {"meta_model": {"pretrained": False, "dynamic_layers": ["conv6"], "seed": 3}}
    one, two = build_model(config, backbone=default), build_model(config, backbone=default)
    other = build_model(config, seed=4, backbone=default)
    state = one.state_dict()
    assert all(torch.equal(state[name], value) for name, value in two.state_dict().items())
    assert not torch.equal(state["head.hidden.weight"], other.state_dict()["head.hidden.weight"])


def test_maps_of_the_first_dynamic_stage_in_the_network_s_order(default: Backbone) -> None:
    config = parse_config({"meta_model": {"pretrained": False, "dynamic_layers": ["conv6", "conv5"]}})
    found = rows_for(config, FeatureExtractor(default, torch.device("cpu")))
    assert isinstance(found, MapRows)
    assert found.start == "conv5"
