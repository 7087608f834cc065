"""Whether planted short cuts are found on real scans, and how often one is reported where labels are shuffled.

python -m benchmarks.leaks --data ../shared/data/meta-train/*.zip [--per-class 10] [--shuffles 20] [--seed 0]

For each data set: what is reported on it as it is (all classes); then, on its first two classes, with labels shuffled,
where every report is a false alarm; with labels shuffled and a small marker in the top right corner of one class; with
labels shuffled and a pixel spacing for each class.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from benchmarks.tune_anchor import load
from medmeta.evaluation.leakage import find_leaks
from medmeta.evaluation.result import Leak
from medmeta.scans.scan import Scan


def marked(scan: Scan) -> Scan:
    """The scan with a bright square in its top right corner, a sixteenth of its height."""
    pixels = scan.pixels.copy()
    side = max(scan.rows // 16, 2)
    pixels[:, side // 2 : side // 2 + side, -side - side // 2 : -(side // 2)] = pixels.max()
    return Scan(scan.file, pixels, scan.group, tags=scan.tags, monochrome1=scan.monochrome1)


def tagged(scan: Scan, spacing: str) -> Scan:
    """The scan as if it came from a scanner of that pixel spacing."""
    return Scan(scan.file, scan.pixels, scan.group, tags={**scan.tags, "PixelSpacing": spacing}, id=scan.id)


def told(leaks: Sequence[Leak]) -> str:
    """The most telling property, or nothing."""
    return f"{leaks[0].name} ({leaks[0].correct} of {leaks[0].n})" if leaks else "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--shuffles", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(describe(options.seed))
    print("| data set | as it is | false alarms | marker in a corner found | one spacing a class found |")
    print("|---|---|---|---|---|")
    for path in options.data:
        task = load(path, options.per_class)
        plain = told(find_leaks(task.scans, task.labels, seed=options.seed))
        scans = [s for s, label in zip(task.scans, task.labels, strict=True) if label in task.classes[:2]]
        names = np.array([label for label in task.labels if label in task.classes[:2]])
        alarms = corners = spacings = 0
        for seed in range(options.seed, options.seed + options.shuffles):
            labels = [str(name) for name in np.random.default_rng(seed).permutation(names)]
            first = [label == task.classes[0] for label in labels]
            alarms += bool(find_leaks(scans, labels, seed=seed))
            corner = [marked(s) if own else s for s, own in zip(scans, first, strict=True)]
            found = {leak.name for leak in find_leaks(corner, labels, seed=seed)}
            corners += "top right corner" in found
            spaced = [
                tagged(s, "0.5\\0.5" if own else "0.7\\0.7") for s, own in zip(scans, first, strict=True)
            ]
            spacings += "pixel spacing" in {leak.name for leak in find_leaks(spaced, labels, seed=seed)}
        of = f"of {options.shuffles}"
        print(f"| {task.name} | {plain} | {alarms} {of} | {corners} {of} | {spacings} {of} |", flush=True)


if __name__ == "__main__":
    main()
