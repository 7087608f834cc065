"""Convergence against MAML: wall time until MAML's best left-out accuracy is reached."""

from __future__ import annotations

from medmeta.training.claims.claim import Claim, ClaimResult
from medmeta.training.claims.curves import Race, race, saving
from medmeta.training.claims.ground import Ground
from medmeta.training.claims.trainings import maml_curve, our_curve, our_recipe

TARGET = 40.0


def measure(ground: Ground) -> ClaimResult:
    races: dict[str, Race] = {}
    for left_out in ground.train[: ground.sizes.left_outs]:
        train = [each for each in ground.train if each is not left_out]
        theirs = maml_curve(ground, f"convergence-maml-{left_out.name}", train, left_out)
        ours = our_curve(ground, f"convergence-ours-{left_out.name}", train, left_out, our_recipe(ground))
        races[left_out.name] = race(theirs, ours, start_counts=True)
    steps = ground.sizes.family_epochs * ground.sizes.tasks_per_epoch // 4
    return saving(
        races,
        TARGET,
        "less time",
        "left-out data sets",
        f"MAML (last stage, {steps} steps of 4 tasks) and ours from the same original trunk and the same tasks, one "
        "core each; seconds until ours reaches MAML's best accuracy on the left-out set, building the closed form "
        "being our start. What the frozen trunk computes beforehand (maps, statistics) is counted for neither; "
        "validating after every epoch is counted for both",
    )


CLAIM = Claim("convergence", "time to MAML's best left-out accuracy", "40 % less time", measure)
