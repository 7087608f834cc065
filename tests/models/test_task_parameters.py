"""The vector a task adapts: what its parts mean, and that a block that is off stays out of every gradient."""

from __future__ import annotations

import math

import pytest
import torch

from medmeta.models.task_parameters import Layout


def test_zeros_change_nothing() -> None:
    strength, weights, gains = Layout(3, 2).split(torch.zeros(6, dtype=torch.float64))
    assert strength.item() == 1.0
    torch.testing.assert_close(weights, torch.ones(3, dtype=torch.float64))
    assert gains.tolist() == [1.0, 1.0]


def test_weights_by_hand() -> None:
    _, weights, _ = Layout(2, 0).split(torch.tensor([0.0, math.log(2.0), 0.0], dtype=torch.float64))
    # Squares in the ratio 4 to 1 with a mean of 1.
    assert weights.tolist() == pytest.approx([math.sqrt(1.6), math.sqrt(0.4)])


def test_a_block_that_is_off_weighs_nothing_and_has_a_finite_gradient() -> None:
    layout = Layout(3, 1, off=(1,))
    vector = torch.tensor([0.2, 0.1, 0.5, -0.3, 0.4], dtype=torch.float64, requires_grad=True)
    strength, weights, gains = layout.split(vector)
    assert weights[1].item() == 0.0
    assert weights.square().mean().item() == pytest.approx(1.0)
    (weights.sum() + strength + gains.sum()).backward()
    assert vector.grad is not None
    assert bool(vector.grad.isfinite().all())
    assert vector.grad[2].item() == 0.0
