"""What a training's configuration may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medmeta.errors import ModelError
from medmeta.training.settings import read_settings


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("training", "clip", -1.0),
        ("training", "clip", 0),
        ("training", "meta_lr", -1),
        ("training", "meta_lr", float("nan")),
        ("training", "meta_lr", float("inf")),
        ("training", "epochs", 0),
        ("training", "gan_rows", -3),
        ("training", "gan_steps", 0),
        ("training", "interpolation", 7.0),
        ("training", "left_out", [1]),
        ("tasks", "shots", 0),
        ("tasks", "tasks_per_batch", -2),
    ],
)
def test_a_value_out_of_range_is_named_before_any_work(
    section: str, key: str, value: Any, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({section: {key: value}}))
    with pytest.raises(ModelError, match=rf"config.json: {section}\.{key} "):
        read_settings(path)


def test_the_edges_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"training": {"interpolation": 1.0, "gan_rows": 0, "epochs": 1}}))
    assert read_settings(path).training.interpolation == 1.0
