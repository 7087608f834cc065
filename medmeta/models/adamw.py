"""AdamW on one vector, unrolled so that its result can be differentiated back to start and rates."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


def adamw(
    start: Tensor,
    loss: Callable[[Tensor], Tensor],
    rates: Tensor,
    *,
    steps: int,
    decay: float = 0.0,
    create_graph: bool = False,
    epsilon: float = EPSILON,
    record: list[tuple[Tensor, Tensor]] | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """A few AdamW steps (Loshchilov and Hutter 2019, arXiv:1711.05101) whose decay pulls to ``start``, not to zero.

    Args:
        start: ``(P,)``; what decay pulls back to.
        loss: the inner loss of a vector, a scalar.
        rates: ``(P,)`` learning rates.
        steps: how many.
        decay: share of the distance to ``start`` taken back in each step, times the rate.
        create_graph: keep the graph of every step: the exact gradient (MAML's, not its first-order estimate).
        epsilon: least size a step is divided by.
        record: is given each step's point and gradient, detached.

    Returns:
        the adapted vector, and the loss before each step.
    """
    value = start
    first = torch.zeros_like(start)
    second = torch.zeros_like(start)
    losses = []
    for step in range(1, steps + 1):
        with torch.enable_grad():
            here = value if create_graph and value.requires_grad else value.detach().requires_grad_()
            now = loss(here)
            (gradient,) = torch.autograd.grad(now, here, create_graph=create_graph)
        losses.append(now)
        if record is not None:
            record.append((here.detach(), gradient.detach()))
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient
        second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
        # The root's gradient at 0 is infinite: a coordinate the loss does not feel stays out of it.
        size = (second / (1 - BETAS[1] ** step) + epsilon**2).sqrt()
        value = value - rates * (first / (1 - BETAS[0] ** step) / size + decay * (value - start))
    return value, losses
