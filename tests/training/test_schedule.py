"""The learning rate's schedule against torch's own schedulers."""

from __future__ import annotations

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from medmeta.training.schedule import rate


def test_it_agrees_with_linear_warm_up_followed_by_cosine_annealing() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    steps, warm = 200, 10
    reference = SequentialLR(
        optimiser,
        # LinearLR may not start at 0; a start of 1e-9 is as good.
        [LinearLR(optimiser, 1e-9, 1.0, warm), CosineAnnealingLR(optimiser, steps - warm)],
        [warm],
    )
    for step in range(steps):
        assert rate(step / steps) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-6)
        optimiser.step()
        reference.step()
    assert rate(1.0) == pytest.approx(0.0, abs=1e-12)
