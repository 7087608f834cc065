"""Configs: the founding document's as written, defaults, round trips, and every refusal with what is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medmeta.errors import ModelError
from medmeta.models.model_config import (
    InnerLoopConfig,
    MetaModelConfig,
    parse_config,
    read_config,
)

FOUNDING: dict[str, Any] = {
    "meta_model": {"type": "cnn_meta", "backbone": "resnet34", "dynamic_layers": ["conv3", "fc"]},
    "inner_loop": {"optimizer": "AdamW", "max_steps": 8},
}


def test_the_founding_documents_config_as_written() -> None:
    config = parse_config(FOUNDING)
    assert config.meta_model.backbone == "resnet34"
    assert config.meta_model.dynamic_layers == ("conv3", "fc")
    assert config.meta_model.dynamic_stages == ("conv3",)
    assert (config.inner_loop.optimizer, config.inner_loop.max_steps) == ("AdamW", 8)
    assert config.meta_model.rank == MetaModelConfig().rank


def test_types_name_their_backbone() -> None:
    for kind, backbone in (
        ("resnet18_meta", "resnet18"),
        ("resnet34_meta", "resnet34"),
        ("default", "efficientnet_lite0"),
    ):
        assert parse_config({"meta_model": {"type": kind}}).meta_model.backbone == backbone
    assert parse_config({}).meta_model == MetaModelConfig()
    assert parse_config({}).inner_loop == InnerLoopConfig()


FULL = {
    "meta_model": {
        "type": "cnn_meta",
        "backbone": "efficientnet_lite0",
        "dynamic_layers": ["conv6", "conv2"],
        "rank": 2,
        "film_bound": 0.25,
        "dropout": 0,
        "weight_decay": 0.01,
        "memory": 64,
        "text": True,
        "pretrained": False,
        "seed": 7,
    },
    "inner_loop": {"optimizer": "AdamW", "max_steps": 0, "lr": 0.5, "anchor_l2": 1},
}


@pytest.mark.parametrize("config", [{}, FOUNDING, FULL, {"meta_model": {"type": "resnet18_meta"}}])
def test_round_trip_through_a_json_file(config: dict[str, Any], tmp_path: Path) -> None:
    parsed = parse_config(config)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(parsed.to_dict()))
    assert read_config(path) == parsed


def test_what_is_given_is_what_comes_out() -> None:
    assert parse_config(FULL).to_dict() == FULL


def test_conv4_starts_untrained_without_being_told() -> None:
    given = {"type": "cnn_meta", "backbone": "conv4"}
    assert parse_config({"meta_model": given}).meta_model.pretrained is False
    with pytest.raises(ModelError, match="must be false for conv4, which has no published weights"):
        parse_config({"meta_model": {**given, "pretrained": True}})


@pytest.mark.parametrize(
    ("section", "given", "says"),
    [
        ("meta_model", {"typ": "default"}, r"no key 'typ'; there are: type, backbone, dynamic_layers, rank"),
        ("inner_loop", {"steps": 3}, r"no key 'steps'; there are: optimizer, max_steps, lr, anchor_l2"),
        ("outer_loop", {}, r"no key 'outer_loop'; there are: meta_model, inner_loop"),
        ("meta_model", [], r"meta_model must be a mapping with the keys type, "),
        (
            "meta_model",
            {"type": "vit"},
            r"'vit' is not known; there are: cnn_meta, resnet18_meta, resnet34_meta, default",
        ),
        ("meta_model", {"type": "cnn_meta"}, "needs a meta_model.backbone"),
        (
            "meta_model",
            {"type": "cnn_meta", "backbone": "vgg"},
            r"there are: efficientnet_lite0, medical_lite0, resnet18, resnet34, conv4",
        ),
        ("meta_model", {"type": "cnn_meta", "backbone": 3}, "a backbone by name, found 3"),
        (
            "meta_model",
            {"type": "resnet18_meta", "backbone": "resnet34"},
            "stands on resnet18, found 'resnet34'; use 'cnn_meta'",
        ),
        (
            "meta_model",
            {"type": "resnet34_meta", "dynamic_layers": ["conv6"]},
            r"for resnet34: 'conv6' is not known; there are: conv1, conv2, conv3, conv4, conv5, fc",
        ),
        ("meta_model", {"dynamic_layers": "conv3"}, "must be a list of names"),
        ("meta_model", {"dynamic_layers": [["fc"]]}, r"\['fc'\] is not known"),
        ("meta_model", {"dynamic_layers": ["fc", "fc"]}, "a layer twice"),
        ("meta_model", {"rank": 0}, "rank must be a whole number of at least 1, found 0"),
        ("meta_model", {"rank": True}, "rank must be a whole number"),
        ("meta_model", {"film_bound": 0}, "film_bound must be a number above 0.0, found 0"),
        ("meta_model", {"dropout": 1}, "dropout must lie below 1"),
        (
            "meta_model",
            {"weight_decay": float("nan")},
            "weight_decay must be a number of at least 0.0, found nan",
        ),
        ("meta_model", {"memory": -1}, "memory must be a whole number of at least 0"),
        ("meta_model", {"text": "yes"}, "text must be true or false, found 'yes'"),
        ("meta_model", {"seed": 1.5}, "seed must be a whole number"),
        ("inner_loop", {"max_steps": 9}, "max_steps must be a whole number from 0 to 8, found 9"),
        ("inner_loop", {"max_steps": -1}, "from 0 to 8"),
        ("inner_loop", {"optimizer": "SGD"}, "'SGD' is not known; there are: AdamW"),
        ("inner_loop", {"lr": float("inf")}, "lr must be a number above 0.0"),
        ("inner_loop", {"anchor_l2": "1"}, "anchor_l2 must be a number of at least 0.0"),
    ],
)
def test_a_refusal_lists_what_is_allowed(section: str, given: object, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        parse_config({section: given})


def test_files_are_named_in_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.json is missing"):
        read_config(tmp_path / "none.json")
    path = tmp_path / "bad.json"
    path.write_text("{'single': 'quotes'}")
    with pytest.raises(ModelError, match=r"bad\.json is not JSON"):
        read_config(path)
    path.write_text('{"inner_loop": {"max_steps": 9}}')
    with pytest.raises(ModelError, match=r"bad\.json: inner_loop\.max_steps"):
        read_config(path)
    path.write_text("[]")
    with pytest.raises(ModelError, match=r"bad\.json: the config must be a mapping"):
        read_config(path)
