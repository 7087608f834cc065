"""Meta-gradients of an inner loop's start: exact, first-order, and first-order corrected from its own trajectory.

The exact gradient (MAML, Finn et al. 2017, arXiv:1703.03400) carries the query's gradient back through every inner
step, which needs the inner loss's curvature H there; first-order drops it. AdamW works on each coordinate by
itself, so how its steps depend on the inner gradients is known exactly and costs nothing. Only the curvature is
missing, and the loop has measured it on its way: points differ by S, gradients by Y, so ``Y = S H``. The estimate is
the symmetric matrix with the least ``|S B - Y|^2 + shrinkage * |B|^2`` (with one pair and no shrinkage, Powell's
symmetric secant of 1970). It needs no further pass of the network.

On a quadratic loss it is H shrunk entry by entry in the basis of the steps' directions: without shrinkage exact where
the steps span the space, and never farther from H than first-order's zero in Frobenius norm. Deep losses bend
both ways, so curvature of either sign counts; the positive rank-one secant ``y y' / y's`` knows one sign alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from medmeta.models.adamw import adamw

#: Weight of the estimate's size against a misfit at steps of their mean length.
SHRINKAGE = 0.5
#: AdamW's epsilon in these loops. A coordinate with a smaller gradient moves in proportion to it; with the usual
#: 1e-8 it moves by the gradient's sign, and how the end depends on the start is then a matter of rounding.
EPSILON = 1e-3


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What an inner loop of T steps on ``(P,)`` did; nothing here carries a gradient.

    Attributes:
        points, gradients: ``(T, P)`` before each step.
        end: ``(P,)`` adapted.
        rates: ``(P,)``.
        decay: as in `adamw`.
        losses: ``(T,)`` before each step.
    """

    points: Tensor
    gradients: Tensor
    end: Tensor
    rates: Tensor
    decay: float
    losses: Tensor


def run(
    start: Tensor, loss: Callable[[Tensor], Tensor], rates: Tensor, *, steps: int, decay: float
) -> Trajectory:
    """Run `adamw` without a graph and keep what it saw."""
    seen: list[tuple[Tensor, Tensor]] = []
    start, rates = start.detach(), rates.detach()
    end, losses = adamw(start, loss, rates, steps=steps, decay=decay, epsilon=EPSILON, record=seen)
    points = torch.stack([point for point, _ in seen]) if seen else start.new_empty(0, len(start))
    gradients = torch.stack([gradient for _, gradient in seen]) if seen else torch.empty_like(points)
    values = torch.stack([value.detach() for value in losses]) if losses else start.new_empty(0)
    return Trajectory(points, gradients, end.detach(), rates, decay, values)


def curvature(trajectory: Trajectory, shrinkage: float = SHRINKAGE) -> Tensor:
    """Estimated curvature along the trajectory, symmetric ``(P, P)``; zeros where it never moved."""
    s, y = trajectory.points.diff(dim=0), trajectory.gradients.diff(dim=0)
    length = s.norm(dim=1).mean() if len(s) else trajectory.end.new_zeros(())
    if not bool(length > 0):
        return torch.zeros(s.shape[1], s.shape[1], dtype=s.dtype, device=s.device)
    s, y = s / length, y / length
    values, basis = torch.linalg.eigh(s.T @ s)
    products = basis.T @ (s.T @ y + y.T @ s) @ basis
    found: Tensor = basis @ (products / (values[:, None] + values + 2.0 * shrinkage)) @ basis.T
    return found


def replay(
    start: Tensor, rates: Tensor, trajectory: Trajectory, kappa: Tensor, shrinkage: float = SHRINKAGE
) -> Tensor:
    """The adapted vector, attached to ``start`` and ``rates`` as the corrected meta-gradient needs it.

    Args:
        start, rates: ``(P,)``; the values the trajectory was made with.
        kappa: ``(P,)`` trust in the estimated curvature: 0 is first-order, 1 takes it as it is.
    """
    steps = iter(zip(trajectory.points, trajectory.gradients, strict=True))
    bend = curvature(trajectory, shrinkage)

    def quadratic(vector: Tensor) -> Tensor:
        point, gradient = next(steps)
        moved = vector - point
        value: Tensor = gradient @ moved + 0.5 * moved @ bend @ moved
        return value

    plain = (1.0 - kappa) * start
    trusted = kappa * start + plain.detach()
    end, _ = adamw(
        trusted,
        quadratic,
        rates,
        steps=len(trajectory.points),
        decay=trajectory.decay,
        create_graph=True,
        epsilon=EPSILON,
    )
    # Rounding of the replay must not show: the value is the trajectory's.
    return trajectory.end + (end - end.detach()) + (plain - plain.detach())


def first_order(trajectory: Trajectory, query_gradient: Tensor) -> Tensor:
    """The query's gradient at the adapted vector, taken for the start's, ``(P,)``."""
    return query_gradient


def corrected(
    trajectory: Trajectory, query_gradient: Tensor, kappa: Tensor, shrinkage: float = SHRINKAGE
) -> Tensor:
    """The start's meta-gradient ``(P,)`` with the curvature estimated from the trajectory.

    Args:
        query_gradient: ``(P,)`` at the adapted vector.
        kappa: ``(P,)``; see :func:`replay`.
    """
    if not len(trajectory.points):
        return query_gradient
    with torch.enable_grad():
        start = trajectory.points[0].clone().requires_grad_()
        end = replay(start, trajectory.rates, trajectory, kappa, shrinkage)
        (found,) = torch.autograd.grad(end, start, query_gradient)
    return found


def exact(
    start: Tensor,
    loss: Callable[[Tensor], Tensor],
    query_loss: Callable[[Tensor], Tensor],
    rates: Tensor,
    *,
    steps: int,
    decay: float,
) -> Tensor:
    """The start's meta-gradient ``(P,)`` through the graph of every step: MAML's."""
    with torch.enable_grad():
        start = start.detach().clone().requires_grad_()
        end, _ = adamw(
            start, loss, rates.detach(), steps=steps, decay=decay, create_graph=True, epsilon=EPSILON
        )
        (found,) = torch.autograd.grad(query_loss(end), start)
    return found


@dataclass(frozen=True, eq=False)
class Measured:
    """One task's inner loop and meta-gradients, ``(P,)`` each: the query's at the end, and the exact one."""

    trajectory: Trajectory
    query_gradient: Tensor
    exact: Tensor


def fit_kappa(measured: Sequence[Measured], group_sizes: Sequence[int]) -> Tensor:
    """The trust ``(G,)`` of each parameter group with the least squared error to exact gradients, in [0, 1].

    The corrected gradient is linear in it, so a quotient is the answer; 1 where there was nothing to correct.
    """
    ones = torch.repeat_interleave(torch.ones(len(group_sizes)), torch.tensor(group_sizes))
    above = torch.zeros(len(group_sizes), dtype=torch.float64)
    below = torch.zeros_like(above)
    for one in measured:
        offered = corrected(one.trajectory, one.query_gradient, ones.to(one.exact)) - one.query_gradient
        parts = zip(
            torch.split(offered, list(group_sizes)),
            torch.split(one.exact - one.query_gradient, list(group_sizes)),
            strict=True,
        )
        for group, (change, wanted) in enumerate(parts):
            above[group] += float(change @ wanted)
            below[group] += float(change @ change)
    return torch.where(below > 0, above / below.clamp(min=1e-300), 1.0).clamp(0.0, 1.0)


def cosine(a: Tensor, b: Tensor) -> float:
    """Cosine of two gradients ``(P,)``; 1 means one points where the other does."""
    return float(F.cosine_similarity(a, b, dim=0))
