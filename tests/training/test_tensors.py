"""From draws by position to tensors, and features that are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from medmeta.errors import TaskError
from medmeta.progress import Progress, silent
from medmeta.scans.scan import Scan
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import MetaTask
from medmeta.training.tensors import FeatureBank, extract_features


def scan(number: int, modality: str | None = "CT", part: str = "CHEST") -> Scan:
    tags = {"Modality": modality, "BodyPartExamined": part}
    return Scan(f"{number}.dcm", np.full((1, 2, 2), number, dtype=np.int16), f"p{number // 2}", tags=tags)


SCANS = tuple(scan(i, modality="MR" if i == 7 else "CT") for i in range(8))
SET = LabelledSet(
    "lungs",
    "ct",
    ("no nodule", "nodule", "other"),
    np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    tuple(item.group for item in SCANS),
    SCANS,
    {"nodule": "a round opacity", "no nodule": "clear"},
)
FEATURES = torch.arange(16, dtype=torch.float32).view(8, 2)
TASK = MetaTask("lungs", "ct", ("nodule", "no nodule"), (2, 3, 0), (5, 6), (0, 0, 1), (1, 0))


def by_length(texts: Sequence[str], /) -> Tensor:
    return torch.tensor([[float(len(text)), 1.0] for text in texts])


class Counting:
    """Looks at each scan and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def extract(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        self.asked += len(scans)
        return torch.tensor([[float(item.pixels.mean()), 1.0] for item in scans])


def test_a_draw_becomes_the_rows_it_names() -> None:
    task = FeatureBank([SET], {"lungs": FEATURES}, by_length).task(TASK)
    assert task.support.tolist() == [[4, 5], [6, 7], [0, 1]]
    assert task.query.tolist() == [[10, 11], [12, 13]]
    assert task.support_targets.tolist() == [0, 0, 1]
    assert task.query_targets.tolist() == [1, 0]
    a, b, c = task.support_groups.tolist()
    assert a == b != c
    assert (task.source, task.domain, task.ways, task.synthetic) == ("lungs", "ct", 2, False)
    assert task.text is not None
    assert task.text.tolist() == [(len("a round opacity") + len("clear")) / 2, 1]


def test_permuting_the_ways_changes_no_bit_of_the_text() -> None:
    bank = FeatureBank([SET], {"lungs": FEATURES}, lambda texts: torch.randn(len(texts), 9))
    swapped = replace(TASK, classes=TASK.classes[::-1], support_targets=(1, 1, 0), query_targets=(0, 1))
    ours, theirs = bank.task(TASK).text, bank.task(swapped).text
    assert ours is not None
    assert theirs is not None
    assert torch.equal(ours, theirs)


def test_modality_needs_every_support_scan_to_agree_and_queries_have_no_say() -> None:
    bank = FeatureBank([SET], {"lungs": FEATURES})
    task = bank.task(replace(TASK, query=(7,), query_targets=(0,)))
    assert (task.modality, task.body_part, task.text) == ("CT", "CHEST", None)
    mixed = bank.task(replace(TASK, support=(2, 7, 0), query=(4, 5)))
    assert (mixed.modality, mixed.body_part) == (None, "CHEST")
    unknown = replace(SET, items=tuple(scan(i, modality=None) for i in range(8)))
    assert FeatureBank([unknown], {"lungs": FEATURES}).task(TASK).modality is None


def test_a_class_without_description_has_no_text() -> None:
    bank = FeatureBank([replace(SET, descriptions={})], {"lungs": FEATURES}, by_length)
    assert bank.task(TASK).text is None


def test_a_divided_group_and_wrong_features_are_refused() -> None:
    bank = FeatureBank([SET], {"lungs": FEATURES})
    with pytest.raises(TaskError, match="both support and query"):
        bank.task(replace(TASK, query=(1,), query_targets=(1,)))
    with pytest.raises(TaskError, match="no features of heads; there are: lungs"):
        bank.task(replace(TASK, source="heads"))
    with pytest.raises(TaskError, match=r"features of 8 items, found \(7, 2\)"):
        FeatureBank([SET], {"lungs": FEATURES[:7]})
    with pytest.raises(TaskError, match="features of 8 items, found none"):
        FeatureBank([SET], {})
    with pytest.raises(TaskError, match="two data sets are called lungs"):
        FeatureBank([SET, SET], {"lungs": FEATURES})


def test_features_are_computed_once_until_something_changes(tmp_path: Path) -> None:
    counting = Counting()
    first = extract_features([SET], counting, "backbone 1", tmp_path)
    assert counting.asked == 8
    assert first["lungs"][:, 0].tolist() == list(range(8))
    second = extract_features([SET], counting, "backbone 1", tmp_path)
    assert counting.asked == 8
    assert torch.equal(first["lungs"], second["lungs"])
    extract_features([SET], counting, "backbone 2", tmp_path)
    assert counting.asked == 16
    inverted = replace(SET, items=(*SCANS[:7], replace(SCANS[7], monochrome1=True)))
    extract_features([inverted], counting, "backbone 1", tmp_path)
    assert counting.asked == 24
    padded = replace(SET, items=(*SCANS[:7], replace(SCANS[7], padding=(0.0, 1.0))))
    extract_features([padded], counting, "backbone 1", tmp_path)
    assert counting.asked == 32
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(b"cut short")
    extract_features([SET], counting, "backbone 1", tmp_path)
    assert counting.asked == 40


def test_texts_go_through_the_encoder_and_need_one(tmp_path: Path) -> None:
    texts = LabelledSet(
        "../notes", "text", ("a", "b"), np.array([0, 1]), ("g1", "g2"), ("short", "much longer")
    )
    found = extract_features([texts], Counting(), "x", tmp_path / "cache", encode=by_length)
    assert found["../notes"][:, 0].tolist() == [5, 11]
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    with pytest.raises(TaskError, match="text encoder"):
        extract_features([texts], Counting(), "y", tmp_path)


def test_rows_of_several_sets_share_no_class_and_no_group() -> None:
    other = replace(SET, name="heads")
    bank = FeatureBank([SET, other], {"lungs": FEATURES, "heads": FEATURES + 100})
    features, targets, groups = bank.rows(["lungs", "heads"])
    assert torch.equal(features, torch.cat([FEATURES, FEATURES + 100]))
    assert targets.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 3, 3, 4, 4, 3, 3, 4, 4]
    assert groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    with pytest.raises(TaskError, match="features of one length"):
        FeatureBank([SET, other], {"lungs": FEATURES, "heads": FEATURES[:, :1]})
