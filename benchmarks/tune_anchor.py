"""Choose the anchor's constants on the meta-train sets alone, and print the table they were chosen from.

python -m benchmarks.tune_anchor --data ../shared/data/meta-train/*.zip [--per-class 100] [--episodes 40]

For every head and strength: mean 5-shot accuracy of each data set, and the temperature with the smallest mean
cross entropy. Then the out-of-domain score: how often scans of the task, and of the other sets, pass the limit.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import describe
from medmeta.learners.frozen import OUT_OF_DOMAIN, embed, usual_distance
from medmeta.learners.registry import load_extractor
from medmeta.models import heads
from medmeta.scans.intake import read_source
from medmeta.tasks.episodes import draw_episodes
from medmeta.tasks.task import Task, make_task

TEMPERATURES = torch.logspace(-1, 2.5, 60, dtype=torch.float64)
CANDIDATES: Mapping[str, heads.Fit] = {
    "prototypes": heads.prototypes,
    **{f"ridge {s}": partial(heads.ridge, strength=s) for s in (0.1, 0.3, 1.0)},
    **{f"logistic {s}": partial(heads.logistic, strength=s) for s in (0.01, 0.03, 0.1)},
}


def load(path: Path, per_class: int) -> Task:
    """The first ``per_class`` scans of each class of a data set."""
    items = read_source(path, key=bytes(32)).accepted
    kept: dict[str | None, int] = {}
    first = []
    for item in items:
        kept[item.label] = kept.get(item.label, 0) + 1
        if kept[item.label] <= per_class:
            first.append(item)
    return make_task(first, path.stem)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(options.seed))
    extractor = load_extractor("auto")
    tasks = [load(path, options.per_class) for path in options.data]
    features = {task.name: embed(extractor.extract(task.scans)) for task in tasks}
    accuracy: dict[str, dict[str, list[float]]] = {name: {} for name in CANDIDATES}
    losses: dict[str, list[Tensor]] = {name: [] for name in CANDIDATES}
    inside, outside = [], []
    for task in tasks:
        z, targets = features[task.name], torch.tensor(task.targets)
        for episode in draw_episodes(task, shots=5, queries=15, episodes=options.episodes, seed=options.seed):
            support, query = list(episode.support), list(episode.query)
            everyone = torch.ones(1, len(support), dtype=torch.bool)
            for name, fit in CANDIDATES.items():
                fitted = fit(z[support], targets[support], len(task.classes), everyone)
                scores, truth = fitted.scores(z[query])[0], targets[query]
                right = (scores.argmax(dim=1) == truth).double().mean().item()
                accuracy[name].setdefault(task.name, []).append(right)
                chances = torch.log_softmax(TEMPERATURES[:, None, None] * scores, dim=2)
                picked = chances.gather(2, truth.expand(len(TEMPERATURES), -1)[:, :, None])
                losses[name].append(-picked.mean(dim=(1, 2)) / len(tasks) / options.episodes)
            usual = usual_distance(z[support], [task.groups[i] for i in support])
            inside.append((1 - (z[query] @ z[support].T).max(dim=1).values) / usual)
            outside += [
                (1 - (other[::7] @ z[support].T).max(dim=1).values) / usual
                for other_name, other in features.items()
                if other_name != task.name
            ]
    print(f"{'head':16}" + "".join(f"{task.name:>18}" for task in tasks) + f"{'mean':>8}{'temperature':>13}")
    for name in CANDIDATES:
        means = [100 * float(np.mean(accuracy[name][task.name])) for task in tasks]
        best = float(TEMPERATURES[torch.stack(losses[name]).sum(dim=0).argmin()])
        print(f"{name:16}" + "".join(f"{m:18.1f}" for m in means) + f"{np.mean(means):8.2f}{best:13.2f}")
    for name, values in (("scans of the task", inside), ("scans of other sets", outside)):
        share = (torch.cat(values) > OUT_OF_DOMAIN).double().mean().item()
        print(f"out-of-domain score above {OUT_OF_DOMAIN}: {100 * share:.1f} % of {name}")


if __name__ == "__main__":
    main()
