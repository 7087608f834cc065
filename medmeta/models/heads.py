"""Small heads on frozen features: prototypes, ridge, shrinkage LDA and logistic regression, many fits at once.

With n scans far fewer than feature dimensions, ridge and logistic regression are combinations of the support's
feature vectors, so they are solved through the n x n Gram matrix. Everything is float64 on the CPU: n is small,
and left-out scores decide weights and temperatures.

``masks`` are ``(f, n)`` bool, one row a fit: True where the scan takes part. Fits are independent; leaving
groups out is a matter of masks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

#: A constant feature of this squared length plays the intercept; being regularised it needs no special case.
INTERCEPT = 1.0


@dataclass(frozen=True, eq=False)
class Linear:
    """f linear classifiers: ``weight (f, C, D)``, ``bias (f, C)``, float64; a bias of -inf marks a class unseen."""

    weight: Tensor
    bias: Tensor

    def scores(self, z: Tensor) -> Tensor:
        """``(m, D)`` feature vectors to ``(f, m, C)`` scores."""
        return z @ self.weight.transpose(1, 2) + self.bias[:, None, :]


#: ``fit(z, targets, classes, masks)``: ``(n, D)`` features, ``(n,)`` int64, C, ``(f, n)`` bool.
Fit = Callable[[Tensor, Tensor, int, Tensor], Linear]


def prototypes(z: Tensor, targets: Tensor, classes: int, masks: Tensor) -> Linear:
    """Cosine to the mean feature vector of each class (Snell et al. 2017, arXiv:1703.05175)."""
    members = F.one_hot(targets, classes).to(z.dtype)[None] * masks[:, :, None]  # (f, n, C)
    sums = members.transpose(1, 2) @ z
    bias = torch.where(members.sum(dim=1) > 0, 0.0, -torch.inf).to(z.dtype)
    return Linear(F.normalize(sums, dim=2), bias)


def ridge(z: Tensor, targets: Tensor, classes: int, masks: Tensor, *, strength: float) -> Linear:
    """Regularised least squares on one-hot targets (Rifkin et al. 2003), classes weighted alike in the loss.

    The penalty weighs more against a small class, so answers lean to a much larger one.
    ``strength`` is the penalty relative to a scan's weight of one.
    """
    kernel = z @ z.T + INTERCEPT
    root = balance(targets, classes, masks).sqrt()
    goal = root[:, :, None] * (F.one_hot(targets, classes).to(z.dtype) - 1.0 / classes)
    # (W K + s I) alpha = W Y, made symmetric with the square root of the weights W.
    system = root[:, :, None] * kernel * root[:, None, :] + strength * torch.eye(len(z), dtype=z.dtype)
    return _linear(root[:, :, None] * torch.linalg.solve(system, goal), z, targets, classes, masks)


def logistic(
    z: Tensor,
    targets: Tensor,
    classes: int,
    masks: Tensor,
    *,
    strength: float,
    steps: int = 200,
    tolerance: float = 1e-3,
) -> Linear:
    """Multinomial logistic regression with an L2 penalty, classes weighted alike in the loss, every fit at once.

    Minimises ``sum_i w_i * cross_entropy_i + strength / 2 * ||W||^2``. The softmax Hessian is at most one half
    (Bohning 1992, doi:10.1007/BF00048682), so one matrix a fit, inverted once, bounds every Newton step; the
    steps are accelerated (Nesterov 1983) and restarted where they overshoot (O'Donoghue and Candes 2015).

    Args:
        z, targets, classes, masks: as for :data:`Fit`.
        strength: L2 penalty.
        steps: most steps taken.
        tolerance: stop when no coefficient moves farther than this in a step.
    """
    kernel = z @ z.T + INTERCEPT
    weights = balance(targets, classes, masks)[:, :, None]
    absent = _absent(targets, classes, masks)[:, None, :]
    goal = F.one_hot(targets, classes).to(z.dtype)
    inverse = torch.linalg.inv(0.5 * weights * kernel + strength * torch.eye(len(z), dtype=z.dtype))
    alpha = previous = torch.zeros(len(masks), len(z), classes, dtype=z.dtype)
    age = torch.zeros(len(masks), 1, 1, dtype=z.dtype)
    for _ in range(steps):
        look = alpha + age / (age + 3.0) * (alpha - previous)
        gradient = weights * (torch.softmax(kernel @ look + absent, dim=2) - goal) + strength * look
        previous, alpha = alpha, look - inverse @ gradient
        moved = alpha - previous
        if moved.abs().max().item() < tolerance:
            break
        overshot = ((look - alpha) * moved).sum(dim=(1, 2), keepdim=True) > 0
        age = torch.where(overshot, 0.0, age + 1.0)
    return _linear(alpha, z, targets, classes, masks)


def lda(z: Tensor, targets: Tensor, classes: int, masks: Tensor, *, shrinkage: float) -> Linear:
    """Linear discriminant analysis with a shrunk covariance, classes weighted alike (Friedman 1989).

    The covariance within classes is ``(1 - shrinkage) * S + shrinkage * trace(S) / D * I``, as in Ledoit and Wolf
    2004 (doi:10.1016/S0047-259X(03)00096-4) with a fixed share. S has rank below n, so its inverse is taken
    through the n x n Gram matrix (Woodbury). Where no class has two scans the spread of the class means stands
    in for the trace.

    Args:
        z, targets, classes, masks: as for :data:`Fit`.
        shrinkage: in (0, 1].
    """
    members = F.one_hot(targets, classes).to(z.dtype)[None] * masks[:, :, None]  # (f, n, C)
    means = (members / members.sum(dim=1, keepdim=True).clamp(min=1)).transpose(
        1, 2
    )  # (f, C, n): weights on z
    root = (balance(targets, classes, masks) / masks.sum(dim=1, keepdim=True).clamp(min=1)).sqrt()[:, :, None]
    kernel = z @ z.T
    # S = R^T R with one row a scan, its weighted distance to its class mean; R = residual @ z.
    residual = root * (torch.eye(len(z), dtype=z.dtype) - members @ means)
    within = residual @ kernel @ residual.transpose(1, 2)
    around = root * (torch.eye(len(z), dtype=z.dtype) - (root**2).transpose(1, 2))
    trace, total = _trace(within), _trace(around @ kernel @ around.transpose(1, 2))
    spread = torch.where(trace > 1e-9 * total, trace, total).clamp(min=1e-12) / z.shape[1]
    ridge = shrinkage * spread
    system = (1.0 - shrinkage) * within + ridge * torch.eye(len(z), dtype=z.dtype)
    pulled = torch.linalg.solve(system, (1.0 - shrinkage) * residual @ kernel @ means.transpose(1, 2))
    alpha = (means - pulled.transpose(1, 2) @ residual) / ridge  # (f, C, n)
    bias = -0.5 * (alpha @ kernel * means).sum(dim=2) + _absent(targets, classes, masks)
    return Linear(alpha @ z, bias)


def _trace(square: Tensor) -> Tensor:
    return square.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]


def balance(targets: Tensor, classes: int, masks: Tensor) -> Tensor:
    """Weights ``(f, n)`` that give every class of a fit the same total, with a mean of 1 over its scans."""
    used = F.one_hot(targets, classes)[None] * masks[:, :, None]  # (f, n, C)
    counts = used.sum(dim=1, keepdim=True).clamp(min=1)
    present = (used.sum(dim=1, keepdim=True) > 0).sum(dim=2, keepdim=True).clamp(min=1)
    share = masks.sum(dim=1)[:, None, None].to(torch.float64) / (present * counts)
    return (used * share).sum(dim=2)


def _absent(targets: Tensor, classes: int, masks: Tensor) -> Tensor:
    """``(f, C)``: 0 for a class the fit has scans of, -inf for one it cannot know."""
    present = (F.one_hot(targets, classes)[None] * masks[:, :, None]).sum(dim=1) > 0
    return torch.where(present, 0.0, -torch.inf).to(torch.float64)


def _linear(alpha: Tensor, z: Tensor, targets: Tensor, classes: int, masks: Tensor) -> Linear:
    bias = INTERCEPT * alpha.sum(dim=1) + _absent(targets, classes, masks)
    return Linear(alpha.transpose(1, 2) @ z, bias)


def fit_temperature(scores: Tensor, targets: Tensor, *, prior: float, spread: float = 0.5) -> float:
    """The factor on scores that makes their softmax fit left-out targets best (Guo et al. 2017).

    A log-normal prior around ``prior`` (meta-trained) keeps a handful of scans from deciding alone.

    Args:
        scores: ``(n, C)`` of scans the head had not seen; -inf for a class it could not know.
        targets: ``(n,)`` int64.
        prior: factor expected before seeing any scan.
        spread: standard deviation of the factor's natural logarithm under the prior.
    """
    grid = torch.linspace(-3.0, 3.0, 121, dtype=torch.float64)
    if len(targets) == 0:
        return prior
    factors = prior * grid.exp()
    chances = torch.log_softmax(factors[:, None, None] * scores, dim=2)
    loss = -chances.gather(2, targets.expand(len(grid), -1)[:, :, None]).sum(dim=(1, 2))
    return float(factors[(loss + 0.5 * (grid / spread) ** 2).argmin()])
