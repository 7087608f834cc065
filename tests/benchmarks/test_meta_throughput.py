"""The meta-model's outer gradient against the same task written again with two public libraries."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from synthetic_tasks import ALL_PARTS, disturbed, meta_model, task

from benchmarks.meta_throughput import comparable, compare
from medmeta.learners.medmeta import SHIPPED
from medmeta.models.meta_model import MetaModel
from medmeta.models.meta_model_file import read_meta_model

TRAINED = replace(ALL_PARTS, generation=False, memory=False, probe=False, steps=5)


@pytest.fixture
def model() -> MetaModel:
    """Without what the libraries' loops do not have: a pull to the start, and rates of their own for each group."""
    found = disturbed(meta_model(TRAINED, anchor_l2=0.0))
    with torch.no_grad():
        found.log_rates.fill_(-3.0)
    return found


def test_gradients_are_those_of_higher_and_torchopt(model: MetaModel) -> None:
    compare(model, [task(model, 1), task(model, 2, shots=(4, 5, 3), per_group=2)])


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_the_shipped_model_can_be_compared_on_a_task_that_it_is_sure_of(noise: float) -> None:
    shipped = comparable(read_meta_model(SHIPPED)[0])
    compare(shipped, [task(shipped, shots=(3, 3), noise=noise)])


def test_a_wrong_gradient_would_be_found(model: MetaModel) -> None:
    model.anchor_l2 = 0.5
    with pytest.raises(AssertionError, match="by_higher"):
        compare(model, [task(model, 1)])
