"""Difficulty-adaptive against uniform sampling: wall time until the uniform sampler's best left-out accuracy."""

from __future__ import annotations

from dataclasses import replace

from medmeta.training.claims.claim import Claim, ClaimResult
from medmeta.training.claims.curves import Race, race, saving
from medmeta.training.claims.ground import Ground
from medmeta.training.claims.trainings import our_curve, our_recipe

TARGET = 25.0


def measure(ground: Ground) -> ClaimResult:
    races: dict[str, Race] = {}
    for left_out in ground.train[: ground.sizes.left_outs]:
        train = [each for each in ground.train if each is not left_out]
        for seed in range(ground.seed, ground.seed + ground.sizes.seeds):
            uniform, difficulty = (
                our_curve(
                    ground,
                    f"sampler-{sampler}-{left_out.name}-{seed}",
                    train,
                    left_out,
                    replace(our_recipe(ground), ways=(2, 3, 5, "all"), sampler=sampler, seed=seed),
                )
                for sampler in ("uniform", "difficulty")
            )
            races[f"{left_out.name}, seed {seed}"] = race(uniform, difficulty, start_counts=False)
    return saving(
        races,
        TARGET,
        "less time",
        "pairs of trainings",
        f"our model on the original trunk, {ground.sizes.seeds} seeds for each of {ground.sizes.left_outs} left-out "
        "sets, the same start and validation tasks; seconds to the uniform sampler's best accuracy on the left-out set",
    )


CLAIM = Claim(
    "sampler",
    "difficulty-adaptive sampling, time to the uniform sampler's accuracy",
    "25 % less time",
    measure,
)
