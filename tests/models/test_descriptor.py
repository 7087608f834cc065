"""The descriptor sees a support set whatever its order, and neither classes' identity nor any query."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from synthetic_tasks import meta_model, task
from torch import Tensor

from medmeta.models.descriptor import MODALITIES, TaskDescriptor, agreed, class_spread, numbers, tag_vector
from medmeta.models.meta_model import MetaModel
from medmeta.tasks.meta_task import FeatureTask

MODEL = meta_model(dropout=0.5)
TAGS: dict[str, Any] = {
    "modality": "CT",
    "body_part": "CHEST",
    "text": torch.linspace(-1, 1, MODEL.descriptor.text_size),
}


@pytest.fixture
def described() -> FeatureTask:
    return task(MODEL, shots=(4, 2, 3), per_group=2, **TAGS)


def describe(found: FeatureTask, *, train: bool = False, seed: int = 0, model: MetaModel = MODEL) -> Tensor:
    model.descriptor.train(train)
    with torch.no_grad():
        out: Tensor = model.descriptor(model.prepare([found]), [torch.Generator().manual_seed(seed)])[0]
    model.descriptor.eval()
    return out


def test_the_order_of_scans_and_of_classes_does_not_matter(described: FeatureTask) -> None:
    order = torch.tensor(np.random.default_rng(0).permutation(len(described.support)))
    renamed = torch.tensor([2, 0, 1])
    turned = replace(
        described,
        support=described.support[order],
        support_targets=renamed[described.support_targets[order]],
        support_groups=100 - described.support_groups[order],
    )
    np.testing.assert_allclose(describe(turned), describe(described), atol=1e-10)


def test_it_is_blind_to_the_query(described: FeatureTask) -> None:
    other = replace(described, query=-described.query.flip(0)[:5], query_targets=described.query_targets[:5])
    assert torch.equal(describe(other), describe(described))
    assert torch.equal(describe(other, train=True), describe(described, train=True))


def test_it_sees_the_support_its_labels_and_its_tags(described: FeatureTask) -> None:
    whole = describe(described)
    assert whole.shape == (MODEL.descriptor.mix.out_features,)
    for change in (
        {"support": described.support.flip(1)},
        {"support_targets": described.support_targets.flip(0)},
        {"modality": "MR"},
        {"body_part": "KNEE"},
        {"text": -TAGS["text"]},
        {"text": None},
    ):
        assert (describe(replace(described, **change)) - whole).abs().max() > 1e-4


def test_nothing_is_drawn_in_eval_mode(described: FeatureTask) -> None:
    assert torch.equal(describe(described, seed=0), describe(described, seed=1))


@pytest.mark.parametrize("hidden", [{"modality": None, "body_part": None}, {"text": None}])
def test_tags_and_text_are_hidden_by_dropout_in_train_mode(
    described: FeatureTask, hidden: dict[str, None]
) -> None:
    bare = replace(described, **hidden)  # type: ignore[arg-type]
    unseen = [
        torch.equal(describe(described, train=True, seed=s), describe(bare, train=True, seed=s))
        for s in range(60)
    ]
    assert 0.25 < np.mean(unseen) < 0.75


def test_without_dropout_train_mode_hides_nothing(described: FeatureTask) -> None:
    model = meta_model(dropout=0.0)
    found = describe(described, train=True, model=model)
    assert torch.equal(found, describe(described, model=model))


def test_a_dropped_statistic_keeps_its_expectation() -> None:
    descriptor = TaskDescriptor(1, 1, dropout=0.25).train()
    kept = descriptor._drop(torch.ones(4000).double(), torch.Generator().manual_seed(0))
    assert set(kept.tolist()) == {0.0, 1 / 0.75}
    assert kept.mean().item() == pytest.approx(1.0, abs=0.05)


def test_the_numbers_of_a_task_counted_by_hand() -> None:
    """Two classes on two axes: any block tells them apart, scans of a class agree and others are at right angles."""
    model = meta_model(blocks=(2,), rank=1)
    support = torch.eye(2).double().repeat_interleave(torch.tensor([3, 1]), dim=0)
    found = FeatureTask(
        "a", "b", 2, support, torch.tensor([0, 0, 0, 1]), torch.arange(4), support[:0], torch.zeros(0).long()
    )
    values = numbers(model.prepare([found]))[0].tolist()
    expected = [np.log(4) / 5, np.log(2) / 3, np.log(3) / 2 / 3, 1 / 3]
    assert values[:4] == pytest.approx(expected)
    assert 0.0 < values[4] < 1.0  # the left-out loss, as a share of a guess's
    assert values[5:] == pytest.approx([1.0, 1.0])  # all right; near - far = 1 - 0


def test_the_spread_of_classes_by_hand() -> None:
    along = torch.tensor([[1.0], [3.0], [-2.0], [-2.0]]).double()
    found = class_spread(along, torch.tensor([0, 0, 1, 1]), 2)
    # means 2 and -2: centre 0, between 2, within: (1 + 1 + 0 + 0) / 4
    np.testing.assert_allclose(found, [0.0, 20.0, 10.0 * 0.5**0.5])


def test_tags_as_numbers() -> None:
    assert (
        tag_vector(None, None).tolist()
        == tag_vector("UNKNOWN", "").tolist()
        == [0.0] * len(tag_vector(None, None))
    )
    found = tag_vector("MR", " chest ")
    assert found[MODALITIES.index("MR")] == 1.0
    assert found.sum() == 2.0
    assert torch.equal(found, tag_vector("MR", "CHEST"))
    assert agreed(["CT", "CT"]) == "CT"
    assert agreed(["CT", "MR"]) is None
    assert agreed(["CT", None]) is None
    assert agreed([]) is None
