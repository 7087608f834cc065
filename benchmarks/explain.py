"""Do explanations point at what decides? Planted findings, random maps, and networks whose weights are shuffled.

python -m benchmarks.explain --data ../shared/data/meta-train/*.zip [--scans 5] [--seed 0]

For each data set, scans of one of its classes are made a task: half of them get a bright, textured spot of a radius of
5 to 9 % of the side at a random place. The model adapts to 8 scans of each kind and explains new scans with a spot that
it calls so:

- how much of what speaks for the spot lies on it (widened by 2 % of the side), beside the spot's share of the
  picture, which an even map has, and beside random smooth maps;
- how alike the explanation stays (rank correlation over the picture) when labels are shuffled, or the weights of the
  last stage, or of all stages, of both networks (Adebayo et al. 2018, arXiv:1810.03292);
- by how much the parts fail to add up to the whole (completeness).
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from benchmarks.machine import describe
from benchmarks.tune_anchor import load
from medmeta.evaluation.explain import explain
from medmeta.evaluation.explanation import Explanation
from medmeta.evaluation.paired import t_interval
from medmeta.learners.frozen import FrozenTaskModel
from medmeta.learners.medmeta import MetaLearner
from medmeta.learners.registry import load_extractor, make_learner
from medmeta.models.features import FeatureExtractor
from medmeta.models.twin import TwinExtractor, TwinSpace
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.task import Task, make_task

SHOTS = 8
SPOT, PLAIN = "with a spot", "without"
#: Cells by which a random map is smoothed, about as fine as the explanations.
SMOOTH = 3.0


@dataclass(frozen=True)
class Spot:
    """Where the spot is, in shares of the side."""

    row: float
    column: float
    radius: float

    def mask(self, side: int, margin: float = 0.02) -> NDArray[np.bool_]:
        """``(side, side)``: on it, or within ``margin`` of it."""
        rows, columns = (np.mgrid[0:side, 0:side] + 0.5) / side
        inside: NDArray[np.bool_] = np.hypot(rows - self.row, columns - self.column) <= self.radius + margin
        return inside


def plant(scan: Scan, random: np.random.Generator) -> tuple[Scan, Spot]:
    """The scan with a bright, textured spot."""
    row, column = (float(place) for place in random.uniform(0.3, 0.7, 2))
    spot = Spot(row, column, float(random.uniform(0.05, 0.09)))
    pixels = scan.pixels.astype(np.float64)
    rows, columns = np.mgrid[0 : pixels.shape[1], 0 : pixels.shape[2]] + 0.5
    far = np.hypot(rows / pixels.shape[1] - spot.row, columns / pixels.shape[2] - spot.column)
    share = 0.7 / (1 + np.exp(75 * (far - spot.radius)))
    bright = 200 + 25 * random.normal(size=share.shape)
    if pixels.ndim == 4:
        share, bright = share[..., None], bright[..., None]
    changed = np.clip(pixels * (1 - share) + share * bright, 0, 255).astype(scan.pixels.dtype)
    return replace(scan, file=f"{scan.file} with a spot", pixels=changed, id=""), spot


def planted_task(
    scans: Sequence[Scan], random: np.random.Generator, tests: int
) -> tuple[Task, list[tuple[Scan, Spot]]]:
    """Half of the scans with a spot as the support, and further scans, all with one."""
    order = [scans[int(i)] for i in random.permutation(len(scans))]
    items = [LabelledScan(scan, PLAIN) for scan in order[:SHOTS]]
    items += [LabelledScan(plant(scan, random)[0], SPOT) for scan in order[SHOTS : 2 * SHOTS]]
    return make_task(items, "spots"), [plant(scan, random) for scan in order[2 * SHOTS : 2 * SHOTS + tests]]


def on_spot(heat: NDArray[np.float64], spot: Spot) -> float:
    """Share of what speaks for the spot that lies on it."""
    speaks = np.clip(heat, 0, None)
    return float(speaks[spot.mask(len(heat))].sum() / max(speaks.sum(), 1e-12))


def shuffled(model: FrozenTaskModel, stages: int, seed: int) -> FrozenTaskModel:
    """The same heads above networks whose last stages' weights are shuffled, tensor by tensor; the model stays."""
    assert model.space is not None

    def other(extractor: FeatureExtractor) -> FeatureExtractor:
        backbone = extractor.backbone
        network = copy.deepcopy(backbone.network)
        generator = torch.Generator().manual_seed(seed)
        for name in network.stage_names[-stages:]:
            for module in network.stage_modules(name):
                for value in module.parameters():
                    flat = value.data.flatten()
                    value.data = flat[torch.randperm(len(flat), generator=generator)].view_as(value)
        return FeatureExtractor(replace(backbone, network=network), extractor.device)

    twin = model.space.twin
    space = TwinSpace(TwinExtractor(other(twin.original), other(twin.medical)), model.space.centre)
    return replace(model, space=space)


def alike(one: Explanation, two: Explanation) -> float:
    """Rank correlation of two heats over the picture."""
    return float(spearmanr(one.heat.ravel(), two.heat.ravel())[0])


def _mean(values: Sequence[float], digits: int = 2) -> str:
    limits = t_interval(values)
    shown = f"{np.mean(values):.{digits}f}"
    return shown if limits is None else f"{shown} ({limits.low:.{digits}f} to {limits.high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--scans", type=int, default=5, help="new scans a data set")
    parser.add_argument("--shuffled", type=int, default=2, help="of them, explained with shuffled weights")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(options.seed))
    learner = make_learner("medmeta", load_extractor("auto"))
    assert isinstance(learner, MetaLearner)
    print("| data set | called so | on the spot | even map | random map | error of the sum |")
    print("|---|---|---|---|---|---|")
    everything: dict[str, list[float]] = {}
    for path in options.data:
        random = np.random.default_rng(options.seed)
        whole = load(path, 60)
        name = whole.classes[int(random.integers(len(whole.classes)))]
        own = [scan for scan, label in zip(whole.scans, whole.labels, strict=True) if label == name]
        task, tests = planted_task(own, random, options.scans)
        model = learner.adapt(task)
        mixed = [task.labels[int(i)] for i in random.permutation(len(task.labels))]
        other = learner.adapt(replace(task, labels=tuple(mixed)))
        found: dict[str, list[float]] = {}
        called = 0
        for scan, spot in tests:
            if model.predict([scan]).labels[0] != SPOT:
                continue
            called += 1
            started = time.perf_counter()
            told = explain(model, scan, towards=SPOT, against=PLAIN)
            seconds = time.perf_counter() - started
            smooth = gaussian_filter(random.normal(size=told.heat.shape), SMOOTH)
            row = {
                "spot": on_spot(told.heat, spot),
                "even": float(spot.mask(len(told.heat)).mean()),
                "random": on_spot(smooth, spot),
                "error": told.left_over,
                "seconds": seconds,
            }
            if called <= options.shuffled:
                row["labels shuffled"] = alike(told, explain(other, scan, towards=SPOT, against=PLAIN))
                for title, stages in (
                    ("last stage shuffled", 1),
                    ("all stages shuffled", len(learner.extractor.trunk.stage_names)),
                ):
                    changed = shuffled(model, stages, options.seed)
                    row[title] = alike(told, explain(changed, scan, towards=SPOT, against=PLAIN))
            for key, value in row.items():
                found.setdefault(key, []).append(value)
                everything.setdefault(key, []).append(value)
        cells = [_mean(found.get(key, [float("nan")])) for key in ("spot", "even", "random")]
        cells.append(f"{np.median(found.get('error', [float('nan')])):.2f}")
        print(f"| {whole.name} | {called} of {len(tests)} | {' | '.join(cells)} |", flush=True)
    cells = [_mean(everything[key]) for key in ("spot", "even", "random")]
    print(f"| all | {len(everything['spot'])} | {' | '.join(cells)} | {np.median(everything['error']):.2f} |")
    print(f"\n{np.median(everything['seconds']):.1f} s an explanation (median, one thread)")
    print("\nRank correlation with the explanation of the model itself:")
    for key in ("labels shuffled", "last stage shuffled", "all stages shuffled"):
        print(f"- {key}: {_mean(everything[key])} over {len(everything[key])} scans")


if __name__ == "__main__":
    main()
