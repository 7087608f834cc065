"""The hypernetwork: a task's descriptor in, the task-specific start of its parameters out (Ha et al. 2016,
arXiv:1609.09106).

Bounded, gated and zero-initialised: untrained, it generates nothing and the model is its closed-form anchor.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Generated:
    """``start (..., P)`` is added to the shared start; ``log_rates (..., G)`` to the shared log learning rates."""

    start: Tensor
    log_rates: Tensor


class Hypernetwork(nn.Module):
    """One hidden layer, then a bounded output behind a gate.

    Args:
        descriptor: length of the descriptor.
        size: P, parameters generated.
        groups: G, groups of them with a learning rate each.
        hidden: width.
        bound: largest absolute value of a generated parameter (log scale) at the gate's start; the gate can at most
            double it.
    """

    def __init__(self, descriptor: int, size: int, groups: int, hidden: int = 64, bound: float = 0.5) -> None:
        super().__init__()
        self.size = size
        self.bound = bound
        self.hidden = nn.Linear(descriptor, hidden)
        self.out = nn.Linear(hidden, size + groups)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.gate = nn.Parameter(torch.zeros(()))
        self.double()

    def forward(self, descriptor: Tensor) -> Generated:
        raw = torch.tanh(self.out(torch.relu(self.hidden(descriptor)))) * (2.0 * torch.sigmoid(self.gate))
        return Generated(self.bound * raw[..., : self.size], raw[..., self.size :])
