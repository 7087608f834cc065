"""Ours against MAML: 5-shot accuracy on the same episodes of the test sets."""

from __future__ import annotations

import numpy as np

from medmeta.training.claims.claim import Claim, ClaimResult, over_sets
from medmeta.training.claims.few_shot import few_shot
from medmeta.training.claims.ground import Ground

TARGET = 8.2


def measure(ground: Ground) -> ClaimResult:
    ours, theirs = few_shot(ground, "medmeta"), few_shot(ground, "maml")
    differences = {name: 100 * (ours[name] - theirs[name]) for name in ours}
    value = float(np.mean([row.mean() for row in differences.values()]))
    count = sum(map(len, differences.values()))
    return ClaimResult(
        reached=f"{value:+.1f} points",
        met=value >= TARGET,
        value=value,
        interval=over_sets(list(differences.values()), ground.seed),
        n=count,
        of="episodes",
        how=f"the same episodes, both meta-trained from the same ImageNet trunk; {ground.sizes.shots} shots, all "
        f"classes of {', '.join(differences)}; mean over data sets, interval from resampling data sets and episodes",
        details={
            name: {
                "medmeta": float(ours[name].mean()),
                "maml": float(theirs[name].mean()),
                "difference_points": float(row.mean()),
            }
            for name, row in differences.items()
        },
    )


CLAIM = Claim("over_maml", "5-shot accuracy over MAML", "+8.2 points", measure, ("medmeta", "maml"))
