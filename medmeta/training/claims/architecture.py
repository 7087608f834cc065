"""Architecture search: steps to equal accuracy on a modality that neither training nor search has seen."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from medmeta.errors import TaskError
from medmeta.models.episodic import EpisodicModel
from medmeta.models.meta_model import MetaModel, Parts
from medmeta.models.threads import one_thread
from medmeta.training.checkpoint import config_hash
from medmeta.training.claims.claim import Claim, ClaimResult
from medmeta.training.claims.curves import race, saving
from medmeta.training.claims.ground import Ground
from medmeta.training.claims.trainings import our_curve, our_recipe, validation
from medmeta.training.recipe import Recipe, start_model, train_model
from medmeta.training.search import Choice, Space, search

TARGET = 12.0
SPACE: Space = {
    "generation": Choice((True, False)),
    "metric": Choice((True, False)),
    "steps": Choice((0, 2, 4, 8)),
    "bound": Choice((0.25, 0.5, 1.0)),
    "rank": Choice((16, 32, 64, 128)),
}


def searched(recipe: Recipe, config: dict[str, Any]) -> Recipe:
    """The recipe with a configuration of :data:`SPACE` in its place."""
    parts = replace(
        recipe.parts, generation=config["generation"], metric=config["metric"], steps=config["steps"]
    )
    return replace(recipe, parts=parts, bound=config["bound"], rank=config["rank"])


def measure(ground: Ground, space: Space = SPACE) -> ClaimResult:
    if len(ground.train) < 3:
        raise TaskError(
            f"the search needs a modality to choose by, another to judge by and one to train on; found "
            f"{len(ground.train)} meta-train sets"
        )
    chosen_by, judged_by, *train = ground.train
    recipe = our_recipe(ground)
    fixed = validation(ground, chosen_by)
    features, blocks = ground.statistics, ground.extractor.blocks

    def build(config: dict[str, Any]) -> EpisodicModel:
        return start_model(train, features, blocks, searched(recipe, config))

    def evaluate(model: EpisodicModel) -> float:
        assert isinstance(model, MetaModel)
        found = replace(recipe, parts=model.parts, bound=model.hypernetwork.bound, rank=model.basis.shape[1])
        place = ground.trainings / f"search-{config_hash(asdict(found))[:12]}"
        _, report = train_model(train, features, blocks, found, place, validation=fixed, held_out=[chosen_by])
        assert report.best_accuracy is not None
        return report.best_accuracy

    with one_thread():
        result = search(
            build,
            evaluate,
            space,
            trials=ground.sizes.trials,
            seed=ground.seed,
            storage=ground.trainings / "search.journal",
            progress=ground.progress,
        )
    default, found = (
        our_curve(ground, f"search-judged-{name}", train, judged_by, each, "step")
        for name, each in (("default", recipe), ("found", searched(recipe, result.best)))
    )
    outcome = saving(
        {judged_by.name: race(default, found, start_counts=True)},
        TARGET,
        "fewer steps",
        "left-out modalities",
        f"{ground.sizes.trials} configurations tried, the best chosen by accuracy on {chosen_by.name}; outer steps to "
        f"the default's best accuracy on {judged_by.name}; neither set is trained on",
    )
    scores = [{"config": trial.config, "score": trial.score} for trial in result.trials]
    default_parts = asdict(Parts())
    return replace(
        outcome,
        details={
            **outcome.details,
            "found": result.best,
            "default": {
                **{key: default_parts[key] for key in ("generation", "metric", "steps")},
                "bound": recipe.bound,
                "rank": recipe.rank,
            },
            "trials": scores,
        },
    )


CLAIM = Claim(
    "search",
    "architecture search, steps to equal accuracy on a left-out modality",
    "12 % fewer steps",
    measure,
)
