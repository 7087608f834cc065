"""Step 2: measure the recipe by leaving out each meta-train data set, and what each part is worth.

python -m benchmarks.leave_one_out --data meta-train/*.zip --trunks run --out run/loo.json [--ablation] [--episodes 600]

For each data set: a meta-model is trained on the other four (their features, as the left-out one's, come from trunks
that never saw them), and measured beside every closed-form baseline on the same episodes of the left-out set. With
``--ablation`` the same for the model without each of its parts, and with those that are off by default.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cross_fit import CrossFit, cross_fit, extractor_of, load_trunk, trunk_path
from benchmarks.machine import describe
from medmeta.evaluation.few_shot import run_few_shot
from medmeta.evaluation.few_shot_result import FewShotResult
from medmeta.evaluation.paired import t_interval, two_level_interval
from medmeta.evaluation.processes import spread
from medmeta.learners.base import Learner
from medmeta.learners.medmeta import MetaLearner
from medmeta.learners.registry import make_learner
from medmeta.models.backbones import load_backbone
from medmeta.models.twin import TwinExtractor, TwinSpace
from medmeta.training.claims.ground import task_of
from medmeta.training.recipe import Recipe, start_model, train_model

BASELINES = ("prototypes", "logistic", "ridge", "lda")
DEFAULT = Recipe()
#: Feature blocks of both trunks: of each, three statistics of four stages, the last stage's first.
TRUNK, STAGE = 12, 3
BLOCKS = range(2 * TRUNK)


def part(**changed: Any) -> Recipe:
    """The recipe with some of its `Parts` changed."""
    return replace(DEFAULT, parts=replace(DEFAULT.parts, **changed))


def only(kept: Callable[[int], bool]) -> Recipe:
    """The recipe whose heads see the blocks that are ``kept``."""
    return part(off=tuple(block for block in BLOCKS if not kept(block)))


#: One part changed at a time, with what it needs; the figure is what the change costs (or brings).
VARIANTS: Mapping[str, Recipe] = {
    "untrained": replace(DEFAULT, epochs=0),
    "no metric": part(metric=False),
    "with generation": part(generation=True),
    "with inner loop": part(steps=8),
    "with inner loop and stack": part(steps=8, stack=True),
    "with inner loop and stack and probe": part(steps=8, stack=True, probe=True),
    "with inner loop and memory": part(steps=8, memory=True),
    "difficulty sampler": replace(DEFAULT, sampler="difficulty"),
    "original trunk only": only(lambda block: block < TRUNK),
    "medical trunk only": only(lambda block: block >= TRUNK),
    "last stage only": only(lambda block: block % TRUNK < STAGE),
    "means only": only(lambda block: block % STAGE == 0),
    "no deviations": only(lambda block: block % STAGE != 1),
    "no covariances": only(lambda block: block % STAGE != 2),
}


def measure(
    data: CrossFit,
    left_out: str,
    recipes: Mapping[str, Recipe],
    folder: Path,
    episodes: int,
    shots: int,
) -> FewShotResult:
    """Train every recipe without ``left_out`` and measure it there; the first recipe is compared with all others."""
    others = [each for name, each in data.sets.items() if name != left_out]
    labelled = data.sets[left_out]
    original = extractor_of(labelled, load_backbone("efficientnet_lite0"), data.original[left_out])
    medical = extractor_of(labelled, load_trunk(trunk_path(folder, left_out)), data.medical[left_out])
    twin = TwinExtractor(original, medical)
    features = {name: data.both(name) for name in data.sets}
    learners: list[Learner] = []
    for name, recipe in recipes.items():
        with tempfile.TemporaryDirectory() as out:
            if recipe.epochs == 0:
                model = start_model(others, features, twin.blocks, recipe).eval()
            else:
                model, _ = train_model(others, features, twin.blocks, recipe, Path(out))
        learners.append(MetaLearner(name, model, TwinSpace(twin, model.centre), original))
    learners += [make_learner(name, original) for name in BASELINES]
    return run_few_shot([task_of(labelled)], learners, shots=shots, episodes=episodes, seed=0, jobs=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument(
        "--trunks", type=Path, required=True, help="folder that benchmarks.train_trunk wrote to"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--only", default="", help="names of variants, separated by commas")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    data = cross_fit(options.data, options.trunks)
    chosen = {name: VARIANTS[name] for name in options.only.split(",") if name}
    recipes = {"medmeta": DEFAULT, **(VARIANTS if options.ablation else chosen)}

    def work(name: str) -> FewShotResult:
        return measure(data, name, recipes, options.trunks, options.episodes, options.shots)

    results = list(spread(work, list(data.sets), options.jobs))
    document = summary(dict(zip(data.sets, results, strict=True)), options.shots)
    document["machine"] = describe(DEFAULT.seed)
    options.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
    print(describe(DEFAULT.seed))
    show(document)


def summary(results: Mapping[str, FewShotResult], shots: int) -> dict[str, Any]:
    """Accuracy of each learner on each left-out set, and ours minus the others', episode by episode."""
    means: dict[str, dict[str, float]] = {}
    episodes: dict[str, dict[str, np.ndarray[Any, np.dtype[np.float64]]]] = {}
    for name, result in results.items():
        for one in result.measured:
            means.setdefault(one.learner, {})[name] = one.accuracy_mean
            episodes.setdefault(one.learner, {})[name] = one.per_episode
    best = {name: max(BASELINES, key=lambda each: means[each][name]) for name in results}
    against = {
        "best baseline of each set": [
            episodes["medmeta"][name] - episodes[best[name]][name] for name in results
        ]
    }
    for other in means:
        if other != "medmeta":
            against[other] = [episodes["medmeta"][name] - episodes[other][name] for name in results]
    return {
        "shots": shots,
        "accuracy": means,
        "best_baseline": best,
        "differences": {other: difference(rows) for other, rows in against.items()},
    }


def difference(rows: Sequence[np.ndarray[Any, np.dtype[np.float64]]]) -> dict[str, Any]:
    """Mean over data sets with two intervals: of the data sets' means, and a bootstrap of sets and episodes."""
    by_set = np.array([row.mean() for row in rows])
    found = {"mean": float(by_set.mean()), "by_set": by_set.tolist()}
    for name, interval in (
        ("ci95_sets", t_interval(by_set)),
        ("ci95_bootstrap", two_level_interval(rows, seed=0)),
    ):
        found[name] = None if interval is None else [interval.low, interval.high]
    return found


def show(document: Mapping[str, Any]) -> None:
    """The tables, in percent and points."""
    names = list(document["best_baseline"])
    print(
        f"{document['shots']} shots"
        + " " * 18
        + "".join(f"{name[:16]:>18}" for name in names)
        + f"{'mean':>9}"
    )
    for learner, row in document["accuracy"].items():
        values = [100 * row[name] for name in names]
        print(f"{learner:25}" + "".join(f"{v:18.2f}" for v in values) + f"{np.mean(values):9.2f}")
    print("\nmedmeta minus             (points; interval over data sets; bootstrap of sets and episodes)")
    for other, found in document["differences"].items():
        spans = [
            "-" if found[key] is None else f"{100 * found[key][0]:+.2f} to {100 * found[key][1]:+.2f}"
            for key in ("ci95_sets", "ci95_bootstrap")
        ]
        print(f"{other:28}{100 * found['mean']:+7.2f}   {spans[0]:>18}   {spans[1]:>18}")


if __name__ == "__main__":
    main()
