"""The unrolled AdamW against torch's own, and its gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from medmeta.models.adamw import adamw

START = torch.tensor([0.5, -1.0, 2.0]).double()
RATES = torch.tensor([0.1, 0.02, 0.3]).double()


def loss(x: Tensor) -> Tensor:
    return (x.sin() * torch.tensor([1.0, 2.0, 0.5])).sum() + (x**2).sum() * 0.3 + x[0] * x[2]


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_it_goes_where_torchs_adamw_goes(steps: int) -> None:
    values = [value.clone().requires_grad_() for value in START]
    groups = [{"params": [v], "lr": float(rate)} for v, rate in zip(values, RATES, strict=True)]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.0)
    expected = []
    for _ in range(steps):
        optimiser.zero_grad()
        now = loss(torch.stack(values))
        torch.autograd.backward([now])
        optimiser.step()
        expected.append(now.item())
    found, losses = adamw(START, loss, RATES, steps=steps)
    np.testing.assert_allclose(found, [v.item() for v in values], rtol=1e-7)
    np.testing.assert_allclose([x.item() for x in losses], expected, rtol=1e-7)


def test_decay_pulls_to_the_start() -> None:
    """Step by step by hand, and the farther the pull the nearer the start."""
    value, first, second = START.clone(), torch.zeros(3).double(), torch.zeros(3).double()
    for step in range(1, 6):
        here = value.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(here), here)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        direction = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        value = value - RATES * direction - RATES * 2.0 * (value - START)
    found, _ = adamw(START, loss, RATES, steps=5, decay=2.0)
    np.testing.assert_allclose(found, value, rtol=1e-6)
    gaps = [
        float((adamw(START, loss, RATES, steps=5, decay=decay)[0] - START).norm())
        for decay in (0.0, 1.0, 3.0)
    ]
    assert gaps[0] > gaps[1] > gaps[2] > 0.0


def test_no_step_stays_at_the_start() -> None:
    found, losses = adamw(START, loss, RATES, steps=0)
    assert torch.equal(found, START)
    assert losses == []


def test_the_exact_gradient_is_that_of_finite_differences() -> None:
    def reached(start: Tensor, log_rates: Tensor, slope: Tensor) -> Tensor:
        """Also in what the inner loss depends on besides its vector."""
        return adamw(
            start, lambda x: loss(slope * x), log_rates.exp(), steps=3, decay=0.5, create_graph=True
        )[0]

    inputs = (START, RATES.log(), torch.tensor(1.2).double())
    assert torch.autograd.gradcheck(reached, [value.clone().requires_grad_() for value in inputs])


def test_without_a_graph_the_inner_gradient_counts_as_constant() -> None:
    start, rates = START.clone().requires_grad_(), RATES.clone().requires_grad_()
    found, _ = adamw(start, loss, rates, steps=3)
    by_start, by_rates = torch.autograd.grad(found.sum(), (start, rates))
    np.testing.assert_allclose(by_start, 1.0)
    np.testing.assert_allclose(by_rates, ((found - start) / rates).detach(), rtol=1e-12)


def test_a_coordinate_the_loss_does_not_feel_keeps_the_gradient_finite() -> None:
    start, rates = START.clone().requires_grad_(), RATES.clone().requires_grad_()
    found, _ = adamw(
        start, lambda x: loss(x * torch.tensor([1.0, 0.0, 1.0])), rates, steps=4, create_graph=True
    )
    assert float(found[1].detach()) == float(START[1])
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(found.sum(), (start, rates)))


def test_it_works_where_nothing_is_recorded() -> None:
    with torch.no_grad():
        found, _ = adamw(START, loss, RATES, steps=3)
    assert torch.equal(found, adamw(START, loss, RATES, steps=3)[0])
    assert not found.requires_grad


def test_epsilon_is_the_least_size_a_step_is_divided_by() -> None:
    start = START.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(start), start)
    found, _ = adamw(START, loss, RATES, steps=1, epsilon=3.0)
    np.testing.assert_allclose(found, START - RATES * slope / (slope**2 + 9.0).sqrt(), rtol=1e-12)


def test_a_record_holds_each_steps_point_and_gradient() -> None:
    record: list[tuple[Tensor, Tensor]] = []
    start = START.clone().requires_grad_()
    adamw(start, loss, RATES, steps=3, create_graph=True, record=record)
    assert len(record) == 3
    for number, (point, slope) in enumerate(record):
        np.testing.assert_allclose(point, adamw(START, loss, RATES, steps=number)[0], rtol=1e-12)
        here = point.clone().requires_grad_()
        np.testing.assert_allclose(slope, torch.autograd.grad(loss(here), here)[0], rtol=1e-12)
        assert not point.requires_grad
        assert not slope.requires_grad
