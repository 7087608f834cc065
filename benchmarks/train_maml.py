"""Meta-train the MAML family over the last stage of the ImageNet trunk: the baselines' weights in `assets/`.

python -m benchmarks.train_maml --data meta-train/*.zip --out run/maml [--methods maml,fomaml] [--steps 200]
    [--left-out NAME] [--install]

The input maps of all scans are computed once and kept in ``--out``. An interrupted run goes on where it stopped.
With ``--left-out`` that data set is not trained on; the best epoch on its tasks is kept.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.machine import describe
from medmeta.learners.registry import load_extractor
from medmeta.models.backbones import ASSETS
from medmeta.models.features import FeatureExtractor
from medmeta.tasks.builder import TaskDistributionBuilder
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.meta_task import MetaTask
from medmeta.tasks.sources import open_set
from medmeta.training.build import MapRows
from medmeta.training.maml_recipe import FAMILY, FamilyRecipe, start_family, train_family
from medmeta.training.tensors import extract_features

#: Fixed tasks of the left-out set that an epoch is judged by.
VALIDATION_TASKS = 40


def maps_of(sets: Sequence[LabelledSet], extractor: FeatureExtractor, folder: Path) -> dict[str, Tensor]:
    """``(n, C*h*w)`` float16 input maps of the last stage for every set, kept in ``folder``."""
    start = extractor.trunk.stage_names[-1]
    made_with = f"{extractor.backbone.sha256} maps {start}"
    return extract_features(sets, MapRows(extractor, start), made_with, folder)


def validation_tasks(left_out: Sequence[LabelledSet], queries: int, seed: int) -> tuple[MetaTask, ...]:
    """Fixed tasks of all classes; none without a left-out set."""
    if not left_out:
        return ()
    count = VALIDATION_TASKS
    fixed = TaskDistributionBuilder(
        list(left_out), {}, count, queries=queries, seed=seed, tasks_per_batch=count
    )
    return fixed.generate_batch()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", default=",".join(FAMILY), help="separated by commas")
    parser.add_argument("--steps", type=int, default=200, help="outer steps; rounded to whole epochs of 10")
    parser.add_argument("--meta-lr", type=float, default=FamilyRecipe.meta_lr)
    parser.add_argument("--left-out", default="", metavar="NAME", help="stem of a data set to validate on")
    parser.add_argument("--install", action="store_true", help="write assets/METHOD.safetensors")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    per_epoch = FamilyRecipe.tasks_per_epoch // FamilyRecipe.tasks_per_batch
    steps = min(per_epoch, options.steps)  # a try of a few steps is one short epoch
    recipe = FamilyRecipe(
        epochs=max(1, options.steps // per_epoch),
        tasks_per_epoch=steps * FamilyRecipe.tasks_per_batch,
        meta_lr=options.meta_lr,
    )
    print(describe(recipe.seed))
    sets = [data for path in options.data for data in open_set(path)]
    extractor = load_extractor("cpu")
    began = time.perf_counter()
    rows = maps_of(sets, extractor, options.out / "features")
    print(
        f"input maps of {sum(map(len, rows.values()))} scans in {time.perf_counter() - began:.0f} s",
        flush=True,
    )
    left_out = [data for data in sets if data.name == options.left_out]
    if options.left_out and not left_out:
        parser.error(f"--left-out {options.left_out}: the data are {', '.join(rows)}")
    train = [data for data in sets if data.name != options.left_out]
    fixed = validation_tasks(left_out, recipe.queries, recipe.seed)
    for method in options.methods.split(","):
        model = start_family(method, extractor.backbone, recipe)
        report = train_family(
            model,
            train,
            rows,
            recipe,
            options.out / method,
            validation=fixed,
            held_out=left_out,
            device=options.device,
        )
        for row in report.history:
            judged = "".join(f"  {key} {row[key]:.3f}" for key in ("validation_accuracy",) if key in row)
            print(
                f"{method} step {row['step']:5d}  {row['seconds']:7.1f} s  query loss {row['query_loss']:.3f}  "
                f"accuracy {row['accuracy']:.3f}{judged}",
                flush=True,
            )
        each = report.seconds / report.steps
        judging = " (validation included)" if fixed else ""
        print(
            f"{method}: {report.steps} steps, {report.seconds:.0f} s, {each:.2f} s a step{judging}",
            flush=True,
        )
        if options.install:
            about = {
                "method": method,
                "training_sets": [data.name for data in train],
                "training_steps": report.steps,
                "kept_epoch": report.best_epoch,
                "seconds": round(report.seconds),
                "left_out": options.left_out or None,
                "left_out_accuracy": report.best_accuracy,
                "recipe": asdict(recipe),
                "seed": recipe.seed,
                "machine": describe(recipe.seed),
            }
            model.cpu().loop.save(ASSETS / f"{method}.safetensors", extractor.backbone, about)
            print(f"wrote assets/{method}.safetensors", flush=True)


if __name__ == "__main__":
    main()
