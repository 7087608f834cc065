"""Are copies found, are different patients taken for copies, are turned scans found, and how long do the checks take?

python -m benchmarks.intake_checks --data meta-train/*.zip [--changed 60] [--seed 0]

Copies: every pair of scans of different groups in a set is compared; those above the limit are listed, with how many
of them are all but identical (a correlation of 0.99: the sets themselves hold re-encoded copies). Then scans are
re-encoded, resized, brightened or darkened, and it is asked whether each is still known as a copy. Orientation: classes
of ten scans, as they are (every suspicion is a false alarm), and with one of them turned or mirrored. Time: of the
processor, for thumbnails, views and all checks of 1,000 scans.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from benchmarks.shares import share
from medmeta.scans.checks import check_scans, looked_at
from medmeta.scans.display import thumbnail
from medmeta.scans.intake import read_source
from medmeta.scans.likeness import COPY, POSES, Views, copies, other_poses, view_of
from medmeta.scans.reader import in_process
from medmeta.scans.scan import LabelledScan, Scan

A_CLASS = 10


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue()))


def _scaled(picture: Image.Image, by: float) -> Image.Image:
    return picture.resize((round(picture.width * by), round(picture.height * by)), Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 75": lambda picture: _jpeg(picture, 75),
    "JPEG, quality 40": lambda picture: _jpeg(picture, 40),
    "half the size": lambda picture: _scaled(picture, 0.5),
    "1.5 times the size": lambda picture: _scaled(picture, 1.5),
    "a quarter brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.25),
    "a quarter darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.75),
    "less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.7),
    "another gamma (1.4)": lambda picture: picture.point(lambda v: int(255 * (v / 255) ** 1.4)),
    "2 % cut off each side": lambda picture: picture.crop(
        (
            picture.width // 50,
            picture.height // 50,
            picture.width - picture.width // 50,
            picture.height - picture.height // 50,
        )
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--changed", type=int, default=60, help="scans of each set that are changed")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from benchmarks.machine import describe

    print(describe(options.seed))
    pairs: list[str] = []
    known: dict[str, list[bool]] = defaultdict(list)
    poses: list[str] = []
    everything: list[LabelledScan] = []
    for path in options.data:
        random = np.random.default_rng(options.seed)
        items = read_source(path, key=bytes(32), reader=in_process()).accepted
        items = tuple(items[i] for i in random.permutation(len(items)))
        everything += items[:250]
        views = [seen(item.scan) for item in items]
        pairs.append(_pairs(path.stem, items, views))
        for item in items[: options.changed]:
            picture = Image.fromarray(np.array(item.scan.pixels[0]))
            for name, change in CHANGES.items():
                pixels: NDArray[np.uint8] = np.asarray(change(picture))[None].copy()
                known[name].append(bool(copies([seen(item.scan), seen(Scan("copy", pixels, "g"))])))
        poses.append(_poses(path.stem, items, views))
    print(
        f"\n| set | pairs of different groups | above {COPY} | of these above 0.99 | the most alike below that |"
    )
    print("|---|---|---|---|---|")
    print("\n".join(pairs))
    print("\n| a scan and its copy, changed | known as a copy |\n|---|---|")
    for name, answers in known.items():
        print(f"| {name} | {share(answers)} |")
    print(
        "\n| set | suspected as they are | turned or mirrored | mirrored left to right |\n|---|---|---|---|"
    )
    print("\n".join(poses))
    print(f"\n{_time(everything[:1000])}")
    return 0


def seen(scan: Scan) -> Views:
    return view_of(thumbnail(scan), scan.rows, scan.columns)


def _pairs(name: str, items: tuple[LabelledScan, ...], views: list[Views]) -> str:
    groups = [item.scan.group for item in items]
    found = [r for i, j, r in copies(views, limit=0.5) if groups[i] != groups[j]]
    equal_groups = sum(n * (n - 1) // 2 for n in map(groups.count, set(groups)))
    total = len(items) * (len(items) - 1) // 2 - equal_groups
    below = max((r for r in found if r < COPY), default=0.0)
    return f"| {name} | {total} | {sum(r >= COPY for r in found)} | {sum(r >= 0.99 for r in found)} | {below:.2f} |"


def _poses(name: str, items: tuple[LabelledScan, ...], views: list[Views]) -> str:
    classes: dict[str | None, list[Views]] = defaultdict(list)
    for item, view in zip(items, views, strict=True):
        classes[item.label].append(view)
    alarms: list[bool] = []
    turned: list[bool] = []
    mirrored: list[bool] = []
    for own in classes.values():
        for start in range(0, len(own) - A_CLASS + 1, A_CLASS):
            part = own[start : start + A_CLASS]
            odd = {position for position, _ in other_poses(part)}
            alarms += [position in odd for position in range(A_CLASS)]
            for pose in POSES:
                changed = np.rot90(part[0][:, ::-1] if pose.mirrored else part[0], pose.turns)
                hit = any(position == 0 for position, _ in other_poses([changed.copy(), *part[1:]]))
                (mirrored if pose.mirrored and not pose.turns else turned).append(hit)
    return f"| {name} | {share(alarms)} | {share(turned)} | {share(mirrored)} |"


def _time(items: list[LabelledScan]) -> str:
    start = time.process_time()
    looked = looked_at(items)
    drawn = time.process_time() - start
    start = time.process_time()
    found = check_scans(looked)
    checked = time.process_time() - start
    return (
        f"{len(items)} scans, processor time: thumbnails and views {drawn:.2f} s, all checks {checked:.2f} s; "
        f"{len(found)} findings"
    )


if __name__ == "__main__":
    sys.exit(main())
