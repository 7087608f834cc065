"""The outer learning rate over a training: linear warm-up, then half a cosine down to nothing."""

from __future__ import annotations

import math

#: Share of the training spent warming up.
WARM_UP = 0.05


def rate(done: float) -> float:
    """Factor on the learning rate when the share ``done`` in [0, 1] of the training lies behind.

    Linear from 0 to 1 over :data:`WARM_UP` (Goyal et al. 2017, arXiv:1706.02677), then a cosine from 1 to 0
    (Loshchilov and Hutter 2017, arXiv:1608.03983).
    """
    if done < WARM_UP:
        return done / WARM_UP
    return 0.5 * (1.0 + math.cos(math.pi * min((done - WARM_UP) / (1.0 - WARM_UP), 1.0)))
