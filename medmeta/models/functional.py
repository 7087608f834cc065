"""Differentiable inner loops: the end of a network plus a linear classifier, adapted by plain gradient steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F


class LinearHead(nn.Module):
    """Linear classifier that starts from zeros, ``(n, D)`` to ``(n, C)``, with no use of global random state."""

    def __init__(self, size: int, ways: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(ways, size))
        self.bias = nn.Parameter(torch.zeros(ways))

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.weight, self.bias)


class TailClassifier(nn.Module):
    """A tail and a linear classifier on its unit-length features: ``(n, C, h, w)`` maps to ``(n, ways)`` scores.

    The classifier starts from zeros, which suits any number of classes in any order. A start shared by all
    classes, as UNICORN-MAML's (Ye and Chao 2022, arXiv:2106.16245), would change nothing: what all classes have
    in common cancels in the softmax and in its gradient. The first inner step turns zeros into centred class
    means, so prototypes need no special start either.

    Args:
        tail: maps to ``(n, size)`` features; not copied.
        size: D, length of a feature vector.
        ways: number of classes.
    """

    def __init__(self, tail: nn.Module, size: int, ways: int) -> None:
        super().__init__()
        self.tail = tail
        self.head = LinearHead(size, ways)

    def features(self, maps: Tensor) -> Tensor:
        """``(n, D)`` of unit length."""
        return F.normalize(self.tail(maps), dim=1)

    def forward(self, maps: Tensor) -> Tensor:
        scores: Tensor = self.head(self.features(maps))
        return scores

    def scores(self, views: Tensor) -> Tensor:
        """``(C,)`` scores of one scan's ``(V, C, h, w)`` maps, its features averaged over the views."""
        scores: Tensor = self.head(F.normalize(self.tail(views).mean(dim=0), dim=0))
        return scores


def balanced_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy in which every class that occurs counts alike: ``(n, C)``, ``(n,)`` to a scalar."""
    counts = F.one_hot(targets, logits.shape[1]).sum(dim=0).clamp(min=1)
    return F.cross_entropy(logits, targets, weight=1.0 / counts.to(logits.dtype))


def adapt_sgd(
    module: nn.Module,
    params: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    steps: int,
    lrs: Mapping[str, Tensor],
    create_graph: bool,
) -> dict[str, Tensor]:
    """Gradient descent on :func:`balanced_cross_entropy` that leaves ``module`` and ``params`` as they are.

    The result stays attached to ``params`` and ``lrs`` wherever gradients are recorded: exactly with
    ``create_graph``, else as if every inner gradient were a constant, which is the first-order approximation of
    Finn et al. 2017 (arXiv:1703.03400, section 5.2). ``functional_call`` swaps the module's tensors while it
    runs, so threads need a module each.

    Args:
        module: maps ``x`` to ``(n, C)`` logits.
        params: what adapts, by parameter name; every other parameter is the module's own.
        x: ``(n, ...)`` support.
        y: ``(n,)`` int64.
        steps: number of steps, each on the whole support.
        lrs: scalar rate of each of ``params`` (Li et al. 2017, arXiv:1707.09835, with one rate a tensor).
        create_graph: keep what the exact, second-order gradient of the result needs.
    """
    adapted = dict(params)
    for _ in range(steps):
        with torch.enable_grad():  # also where the caller records nothing
            here = {
                name: value if create_graph and value.requires_grad else value.detach().requires_grad_()
                for name, value in adapted.items()
            }
            loss = balanced_cross_entropy(functional_call(module, here, (x,)), y)
            gradients = torch.autograd.grad(loss, list(here.values()), create_graph=create_graph)
        adapted = {
            name: value - lrs[name] * gradient
            for (name, value), gradient in zip(adapted.items(), gradients, strict=True)
        }
    return adapted
