"""How close cheap meta-gradients of the deep layers come to the exact one, on meta-train tasks.

python -m benchmarks.meta_gradient_cosine --data ../shared/data/meta-train/med_nist.zip [...] [--tasks 4]

Prints the mean cosine to the exact gradient, and the error relative to its length, of the first-order and the
corrected gradient. The correction's trust (kappa) is fitted on other tasks than are measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import describe
from medmeta.learners.medmeta import feature_task
from medmeta.learners.registry import load_extractor
from medmeta.models.cnn_meta import CnnMetaModel
from medmeta.models.features import FeatureExtractor
from medmeta.models.gradient_correction import Measured, corrected, cosine, first_order
from medmeta.models.model_config import parse_config
from medmeta.scans.intake import read_source
from medmeta.tasks.episodes import Episode, draw_episodes
from medmeta.tasks.meta_task import FeatureTask
from medmeta.tasks.task import Task, make_task

BACKBONE = "efficientnet_lite0"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--tasks", type=int, default=4, help="of each data set, half of them to fit on")
    parser.add_argument("--ways", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.02, help="of the inner loop")
    parser.add_argument("--dynamic", nargs="+", default=["conv6", "fc"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(options.seed))
    began = time.monotonic()
    config = parse_config(
        {
            "meta_model": {
                "type": "cnn_meta",
                "backbone": BACKBONE,
                "dynamic_layers": options.dynamic,
                "seed": options.seed,
            },
            "inner_loop": {"lr": options.lr},
        }
    )
    extractor = load_extractor("cpu", BACKBONE)
    model = CnnMetaModel.from_config(config, extractor.backbone).eval()
    fitted, measured = list[Measured](), list[Measured]()
    for path in options.data:
        data = make_task(read_source(path, key=bytes(32)).accepted, path.stem)
        draws = draw_episodes(
            data, shots=5, queries=5, episodes=options.tasks, seed=options.seed, ways=options.ways
        )
        for number, episode in enumerate(draws):
            found = model.measure(rows(data, episode, extractor, str(model.start)))
            (measured if number % 2 else fitted).append(found)
    model.fit_correction(fitted)
    print(f"tasks to fit on {len(fitted)}, measured {len(measured)}; kappa {model.kappa.tolist()}")
    trust = model.trust()
    show("first-order", measured, [first_order(m.trajectory, m.query_gradient) for m in measured])
    show("corrected", measured, [corrected(m.trajectory, m.query_gradient, trust) for m in measured])
    print(f"{time.monotonic() - began:.0f} s")


def rows(data: Task, episode: Episode, extractor: FeatureExtractor, start: str) -> FeatureTask:
    """The episode as the model reads it, a row a scan's first view."""
    support, query = data.subset(episode.support), data.subset(episode.query)
    maps, asked = (extractor.maps(half.scans, start)[:, 0].flatten(1) for half in (support, query))
    task = feature_task(support, maps)
    targets = torch.tensor(query.targets)
    return FeatureTask(
        task.source,
        task.domain,
        task.ways,
        maps,
        task.support_targets,
        task.support_groups,
        asked,
        targets,
        task.modality,
        task.body_part,
    )


def show(name: str, measured: Sequence[Measured], gradients: Sequence[Tensor]) -> None:
    pairs = list(zip(measured, gradients, strict=True))
    cosines = [cosine(gradient, m.exact) for m, gradient in pairs]
    errors = [float((gradient - m.exact).norm() / m.exact.norm()) for m, gradient in pairs]
    print(
        f"{name:12} cosine to exact: mean {np.mean(cosines):.4f}, least {min(cosines):.4f}; "
        f"relative error: mean {np.mean(errors):.3f}"
    )


if __name__ == "__main__":
    main()
