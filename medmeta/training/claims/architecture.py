"""Architecture search: steps to equal accuracy on a modality that neither training nor search has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from medmeta.errors import TaskError
from medmeta.models.episodic import EpisodicModel
from medmeta.models.meta_model import MetaModel
from medmeta.models.threads import one_thread
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.training.checkpoint import config_hash
from medmeta.training.claims.claim import Claim, ClaimResult
from medmeta.training.claims.curves import Race, race, saving
from medmeta.training.claims.ground import Ground
from medmeta.training.claims.trainings import our_curve, our_recipe, validation
from medmeta.training.recipe import Recipe, start_model, train_model
from medmeta.training.search import Choice, SearchResult, Space, search

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
    count = len(ground.train)
    if count < 3:
        raise TaskError(
            f"the search needs a modality to choose by, another to judge by and one to train on; found {count} "
            "meta-train sets"
        )
    races: dict[str, Race] = {}
    searches = {}
    for number in range(min(ground.sizes.left_outs, count)):
        chosen_by, judged_by = (ground.train[(number + step) % count] for step in (0, 1))
        train = [each for each in ground.train if each not in (chosen_by, judged_by)]
        name = f"search-{chosen_by.name}-{judged_by.name}"
        result = _search(ground, space, name, train, chosen_by)
        default, found = (
            our_curve(ground, f"{name}-{which}", train, judged_by, recipe, "step")
            for which, recipe in (
                ("default", our_recipe(ground)),
                ("found", searched(our_recipe(ground), result.best)),
            )
        )
        races[judged_by.name] = race(default, found, start_counts=True)
        searches[judged_by.name] = {
            "chosen_by": chosen_by.name,
            "found": result.best,
            "trials": [{"config": trial.config, "score": trial.score} for trial in result.trials],
        }
    outcome = saving(
        races,
        TARGET,
        "fewer steps",
        "left-out modalities",
        f"{ground.sizes.trials} configurations tried (hypernetwork and metric on or off, inner steps, bound, rank), "
        "the best chosen by accuracy on one left-out set; outer steps to the default's best accuracy on "
        "another left-out set, an untrained model that is that good having taken none",
    )
    return replace(outcome, details={"races": outcome.details, "searches": searches})


def _search(
    ground: Ground, space: Space, name: str, train: Sequence[LabelledSet], chosen_by: LabelledSet
) -> SearchResult:
    """Search on ``train`` by the accuracy on ``chosen_by``; an interrupted search goes on."""
    base, features, blocks = our_recipe(ground), ground.statistics, ground.extractor.blocks
    fixed = validation(ground, chosen_by)

    def build(config: dict[str, Any]) -> EpisodicModel:
        return start_model(train, features, blocks, searched(base, config))

    def evaluate(model: EpisodicModel) -> float:
        assert isinstance(model, MetaModel)
        rank, bound = model.basis.shape[1], model.hypernetwork.bound
        recipe = replace(base, parts=model.parts, bound=bound, rank=rank)
        place = ground.trainings / f"{name}-{config_hash(asdict(recipe))[:12]}"
        _, report = train_model(
            train, features, blocks, recipe, place, validation=fixed, held_out=[chosen_by]
        )
        assert report.best_accuracy is not None
        return report.best_accuracy

    with one_thread():
        return search(
            build,
            evaluate,
            space,
            trials=ground.sizes.trials,
            seed=ground.seed,
            storage=ground.trainings / f"{name}.journal",
            progress=ground.progress,
        )


CLAIM = Claim(
    "search",
    "architecture search, steps to equal accuracy on a left-out modality",
    "12 % fewer steps",
    measure,
)
