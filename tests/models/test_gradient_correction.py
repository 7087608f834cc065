"""Meta-gradients of a start: against finite differences, closed forms and brute force."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from medmeta.models import gradient_correction as correction
from medmeta.models.adamw import adamw
from medmeta.models.gradient_correction import Measured, corrected, exact, first_order, fit_kappa

#: So little shrinkage that the secants are taken at their word.
NOTHING = 1e-12


class Quadratic:
    """Inner loss with curvature ``h``, query loss a distance to another point; both random."""

    def __init__(self, size: int, seed: int, *, rate: float, steps: int, decay: float = 0.1) -> None:
        random = torch.Generator().manual_seed(seed)
        draw = torch.randn(size, size, generator=random, dtype=torch.float64)
        self.h = draw @ draw.T / size + 0.2 * torch.eye(size, dtype=torch.float64)
        self.goal, self.query_goal, self.start = (
            torch.randn(size, generator=random, dtype=torch.float64) for _ in range(3)
        )
        self.rates = rate * (0.5 + torch.rand(size, generator=random, dtype=torch.float64))
        self.steps, self.decay = steps, decay

    def loss(self, vector: Tensor) -> Tensor:
        return 0.5 * (vector - self.goal) @ self.h @ (vector - self.goal)

    def query_loss(self, vector: Tensor) -> Tensor:
        return (vector - self.query_goal).cosh().log().sum()

    def measure(self) -> Measured:
        how = {"steps": self.steps, "decay": self.decay}
        trajectory = correction.run(self.start, self.loss, self.rates, **how)
        end = trajectory.end.clone().requires_grad_()
        (at_end,) = torch.autograd.grad(self.query_loss(end), end)
        found = exact(self.start, self.loss, self.query_loss, self.rates, **how)
        return Measured(trajectory, at_end, found)


def ones(like: Tensor) -> Tensor:
    return torch.ones_like(like)


def test_exact_agrees_with_finite_differences_on_a_curved_loss() -> None:
    q = Quadratic(4, 3, rate=0.1, steps=6)

    def loss(vector: Tensor) -> Tensor:
        return q.loss(vector) + (vector**3).sin().sum()

    def reached(start: Tensor) -> float:
        end, _ = adamw(start, loss, q.rates, steps=6, decay=0.1, epsilon=correction.EPSILON)
        return float(q.query_loss(end))

    found = exact(q.start, loss, q.query_loss, q.rates, steps=6, decay=0.1)
    for i in range(4):
        step = 1e-6 * torch.eye(4, dtype=torch.float64)[i]
        assert float(found[i]) == pytest.approx(
            (reached(q.start + step) - reached(q.start - step)) / 2e-6, rel=1e-5, abs=1e-8
        )


@pytest.mark.parametrize(("size", "steps"), [(1, 2), (1, 8), (3, 8), (4, 8)])
def test_correction_is_exact_where_the_steps_span_the_space(size: int, steps: int) -> None:
    for seed in range(5):
        m = Quadratic(size, seed, rate=0.2, steps=steps).measure()
        found = corrected(m.trajectory, m.query_gradient, ones(m.exact), NOTHING)
        torch.testing.assert_close(found, m.exact, rtol=1e-4, atol=1e-5)
        if steps == 8:
            assert (first_order(m.trajectory, m.query_gradient) - m.exact).norm() > 0.01 * m.exact.norm()


def test_two_points_give_powell_s_symmetric_secant() -> None:
    trajectory = Quadratic(5, 0, rate=0.1, steps=2).measure().trajectory
    s, y = trajectory.points.diff(dim=0)[0], trajectory.gradients.diff(dim=0)[0]
    wanted = (torch.outer(y, s) + torch.outer(s, y)) / (s @ s) - (y @ s) * torch.outer(s, s) / (s @ s) ** 2
    torch.testing.assert_close(correction.curvature(trajectory, 1e-8), wanted, rtol=1e-5, atol=1e-6)


def test_estimate_solves_the_stated_least_squares() -> None:
    """No symmetric change of any entry makes misfit and size together smaller."""
    trajectory = Quadratic(4, 6, rate=0.1, steps=4).measure().trajectory
    s, y = trajectory.points.diff(dim=0), trajectory.gradients.diff(dim=0)
    length = s.norm(dim=1).mean()
    found = correction.curvature(trajectory, 0.3)

    def cost(b: Tensor) -> float:
        return float(((s @ b - y) / length).square().sum() + 0.3 * b.square().sum())

    for i in range(4):
        for j in range(i + 1):
            change = torch.zeros_like(found)
            change[i, j] = change[j, i] = 1e-3
            assert cost(found) < min(cost(found + change), cost(found - change))


def test_estimated_curvature_is_never_farther_from_the_true_one_than_zero() -> None:
    for seed in range(20):
        q = Quadratic(10, seed, rate=0.05, steps=5)
        for shrinkage in (1e-6, correction.SHRINKAGE, 10.0):
            found = correction.curvature(q.measure().trajectory, shrinkage)
            assert (q.h - found).norm() <= q.h.norm() + 1e-9


def test_with_small_steps_the_error_keeps_the_bound_and_is_mostly_below_first_order_s() -> None:
    """To first order in the rates the errors are (H - B) w and H w of one w; the former is at most |H| |w|."""
    shares = []
    for seed in range(40):
        q = Quadratic(10, seed, rate=2e-4, steps=5)
        m = q.measure()
        error = corrected(m.trajectory, m.query_gradient, ones(m.exact)) - m.exact
        plain = m.query_gradient - m.exact
        assert error.norm() <= 1.01 * q.h.norm() * torch.linalg.solve(q.h, plain).norm()
        shares.append(float(error.norm() / plain.norm()))
    assert sum(shares) / len(shares) < 0.95


def test_negative_curvature_is_found_as_well() -> None:
    q = Quadratic(3, 1, rate=0.1, steps=8)
    trajectory = correction.run(q.start, lambda v: -q.loss(v), q.rates, steps=8, decay=0.1)
    torch.testing.assert_close(correction.curvature(trajectory, NOTHING), -q.h, rtol=1e-3, atol=1e-3)


def test_no_trust_is_first_order_and_no_step_is_the_identity() -> None:
    m = Quadratic(4, 2, rate=0.2, steps=6).measure()
    torch.testing.assert_close(
        corrected(m.trajectory, m.query_gradient, 0.0 * m.exact), m.query_gradient, rtol=0, atol=1e-15
    )
    still = Quadratic(4, 2, rate=0.2, steps=0).measure()
    assert torch.equal(corrected(still.trajectory, still.query_gradient, ones(still.exact)), still.exact)


def test_replay_keeps_the_value_and_reaches_the_rates_as_the_exact_graph_does() -> None:
    q = Quadratic(3, 5, rate=0.2, steps=8)
    trajectory = q.measure().trajectory
    rates = q.rates.clone().requires_grad_()
    end = correction.replay(q.start, rates, trajectory, ones(q.start), NOTHING)
    assert torch.equal(end, trajectory.end)
    (found,) = torch.autograd.grad(q.query_loss(end), rates)
    end, _ = adamw(
        q.start, q.loss, rates, steps=8, decay=q.decay, create_graph=True, epsilon=correction.EPSILON
    )
    (wanted,) = torch.autograd.grad(q.query_loss(end), rates)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def test_recording_leaves_the_inner_loop_as_it_is() -> None:
    q = Quadratic(4, 7, rate=0.1, steps=5)
    plain, losses = adamw(q.start, q.loss, q.rates, steps=5, decay=0.1, epsilon=correction.EPSILON)
    trajectory = correction.run(q.start, q.loss, q.rates, steps=5, decay=0.1)
    assert torch.equal(trajectory.end, plain)
    assert torch.equal(trajectory.losses, torch.stack(losses).detach())
    torch.testing.assert_close(trajectory.gradients[2], q.h @ (trajectory.points[2] - q.goal))


def test_fitted_trust_is_the_best_of_a_grid_in_each_group() -> None:
    measured = [Quadratic(8, seed, rate=0.1, steps=3).measure() for seed in range(4)]
    found = fit_kappa(measured, [2, 6])
    grid = torch.linspace(0.0, 1.0, 51, dtype=torch.float64)
    for group, part in enumerate((slice(0, 2), slice(2, 8))):
        errors = [
            sum(
                float(
                    (corrected(m.trajectory, m.query_gradient, k * ones(m.exact)) - m.exact)[part]
                    .square()
                    .sum()
                )
                for m in measured
            )
            for k in grid
        ]
        assert float(found[group]) == pytest.approx(
            float(grid[int(torch.tensor(errors).argmin())]), abs=0.011
        )


def test_cosine_by_hand() -> None:
    assert correction.cosine(torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])) == pytest.approx(24 / 25)
