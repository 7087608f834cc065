"""Is text found that is burned into real scans, and how many clean scans are flagged?

python -m benchmarks.burned_in --data meta-train/*.zip [--scans 100] [--burned 16] [--seed 0]

Scans are drawn evenly over the classes of each set. Names, numbers and dates of people who do not exist are drawn at a
random place of the first 16, in one of the heights (of capitals, in pixels) and contrasts below; every scan meets
every pair of them once. A scan counts as flagged when `TextFinder` returns a place, and as found when a place
overlaps the text drawn.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks.shares import share
from medmeta.scans.intake import read_source
from medmeta.scans.pixel_text import Box, TextFinder
from medmeta.scans.reader import in_process
from medmeta.scans.scan import Scan

HEIGHTS = (6, 8, 10, 14, 20)
#: Grey levels between text and what lies under it.
CONTRASTS = {"full": 255, "middle": 100, "faint": 50}
TEXTS = ("DOE^JANE 03.04.1961", "J. Smith  M 57Y", "MRN 0048213", "1974-03-12 14:22", "St. Mary 2210/7")
#: MedNIST is 64 pixels a side: no room for a line of text; its scans are enlarged to this side first.
LEAST_SIDE = 192


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--scans", type=int, default=100, help="clean scans of each set")
    parser.add_argument("--burned", type=int, default=16, help="of them, those that get text burned in")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    from benchmarks.machine import describe

    print(describe(options.seed))
    finder = TextFinder()
    flagged: dict[str, list[bool]] = {}
    found: dict[tuple[int, str], list[bool]] = defaultdict(list)
    seconds = []
    for path in options.data:
        random = np.random.default_rng(options.seed)
        scans = _drawn(path, options.scans, random)
        flagged[path.stem] = []
        for position, scan in enumerate(tqdm(scans, desc=path.stem, file=sys.stderr)):
            start = time.perf_counter()
            flagged[path.stem].append(bool(finder.find(scan)))
            seconds.append(time.perf_counter() - start)
            for height in HEIGHTS if position < options.burned else ():
                for name, contrast in CONTRASTS.items():
                    marked, box = burned(scan, height, contrast, random)
                    if box is not None:
                        found[height, name].append(any(_meet(box, each) for each in finder.find(marked)))
    print("\n| clean scans of | flagged |\n|---|---|")
    for name, answers in flagged.items():
        print(f"| {name} | {share(answers)} |")
    print(f"| all | {share([each for answers in flagged.values() for each in answers])} |")
    print(f"\n| height of capitals | {' | '.join(f'{name} contrast' for name in CONTRASTS)} |")
    print("|---|" + "---|" * len(CONTRASTS))
    for height in HEIGHTS:
        print(f"| {height} pixels | {' | '.join(share(found[height, name]) for name in CONTRASTS)} |")
    everything = [each for answers in found.values() for each in answers]
    print(f"\n{share(everything)} of all texts found; {1000 * np.median(seconds):.0f} ms a scan (median)")
    return 0


def burned(scan: Scan, height: int, contrast: int, random: np.random.Generator) -> tuple[Scan, Box | None]:
    """The scan with a line of text drawn in, and where; no place where the line is too wide for it."""
    text = str(random.choice(TEXTS))
    font = ImageFont.load_default(height / 0.72)
    left, top, right, bottom = (int(value) for value in font.getbbox(text))
    width, tall = right - left, bottom - top
    rows, columns = scan.rows, scan.columns
    if width >= columns - 2 or tall >= rows - 2:
        return scan, None
    x, y = int(random.integers(0, columns - width)), int(random.integers(0, rows - tall))
    picture = Image.fromarray(np.array(scan.pixels[0]))
    under = float(np.mean(np.asarray(picture)[y : y + tall, x : x + width]))
    shade = int(np.clip(under + contrast if under < 128 else under - contrast, 0, 255))
    fill = (shade,) * 3 if scan.is_colour else shade
    ImageDraw.Draw(picture).text((x - left, y - top), text, font=font, fill=fill)
    pixels: NDArray[np.uint8] = np.asarray(picture)[None]
    return Scan(scan.file, pixels.copy(), scan.group), Box(x, y, x + width, y + tall)


def _drawn(path: Path, count: int, random: np.random.Generator) -> list[Scan]:
    by_label = defaultdict(list)
    for item in read_source(path, key=bytes(32), reader=in_process()).accepted:
        by_label[item.label].append(item.scan)
    share = -(-count // len(by_label))
    chosen = [
        scans[i]
        for scans in by_label.values()
        for i in random.choice(len(scans), min(share, len(scans)), replace=False)
    ]
    return [_large_enough(chosen[i]) for i in random.permutation(len(chosen))[:count]]


def _large_enough(scan: Scan) -> Scan:
    least = min(scan.rows, scan.columns)
    if least >= LEAST_SIDE:
        return scan
    times = -(-LEAST_SIDE // least)
    picture = Image.fromarray(np.array(scan.pixels[0])).resize((times * scan.columns, times * scan.rows))
    return Scan(scan.file, np.asarray(picture)[None].copy(), scan.group)


def _meet(one: Box, two: Box) -> bool:
    wide = min(one.right, two.right) - max(one.left, two.left)
    tall = min(one.bottom, two.bottom) - max(one.top, two.top)
    return wide > 0 and tall > 0


if __name__ == "__main__":
    sys.exit(main())
