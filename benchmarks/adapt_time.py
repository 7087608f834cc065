"""How long adapting takes, beside the bare forward pass of both trunks over the same views.

python -m benchmarks.adapt_time --support ../shared/data/dicom/kermany_cxr_dicom.zip [--shots 5] [--rounds 10]

Takes the first scans of each class, models already loaded. The bare side is given ready views and spreads them
over the cores as `adapt` does, the quickest way found; `adapt` starts from decoded scans, makes the views, and fits
and weighs the heads. Rounds alternate the two, so that a noisy machine slows both alike; every round's features are
computed anew.
"""

from __future__ import annotations

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.machine import describe
from medmeta.api import intake
from medmeta.learners.registry import load_extractor, make_learner
from medmeta.models.features import FeatureExtractor
from medmeta.models.threads import one_thread
from medmeta.models.twin import TwinExtractor
from medmeta.tasks.task import Task, make_task


def first_scans(source: Path, shots: int) -> Task:
    """The first ``shots`` scans of each class."""
    everything = make_task(intake(source).accepted, source.stem)
    kept: list[int] = []
    for name in everything.classes:
        kept += [i for i, label in enumerate(everything.labels) if label == name][:shots]
    return everything.subset(kept)


def fresh(twin: TwinExtractor) -> FeatureExtractor:
    """The same trunks, loaded, with nothing remembered."""
    extractor = FeatureExtractor(twin.original.backbone, twin.original.device)
    extractor.companion(lambda: twin.medical.backbone)
    return extractor


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--support", type=Path, required=True)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    print(describe(seed=0))
    task = first_scans(options.support, options.shots)
    cores = torch.get_num_threads()
    extractor = load_extractor(options.device)
    twin = TwinExtractor.beside(extractor)
    stacks = [extractor.stack(scan) for scan in task.scans]
    print(
        f"{len(task.classes)} classes, {len(task.scans)} scans, {sum(map(len, stacks))} views, {extractor.device_name}"
    )
    bare, whole = [], []
    for number in range(options.rounds + 1):
        start = time.perf_counter()
        with one_thread(), ThreadPoolExecutor(cores) as pool:
            list(pool.map(twin.original.forward, stacks))
            list(pool.map(twin.medical.forward, stacks))
        synchronise(extractor.device)
        middle = time.perf_counter()
        make_learner("default", fresh(twin)).adapt(task)
        end = time.perf_counter()
        if number:  # the first round warms up
            bare.append(middle - start)
            whole.append(end - middle)
    ratios = [a / b for a, b in zip(whole, bare, strict=True)]
    print(f"bare trunks     {statistics.median(bare):7.3f} s  ({min(bare):.3f}-{max(bare):.3f})")
    print(
        f"adapt           {statistics.median(whole):7.3f} s  ({min(whole):.3f}-{max(whole):.3f})   target < 3"
    )
    print(
        f"ratio           {statistics.median(ratios):7.3f}    ({min(ratios):.3f}-{max(ratios):.3f})   target <= 1.5"
    )


if __name__ == "__main__":
    main()
