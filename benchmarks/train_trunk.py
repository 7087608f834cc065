"""Step 1 of training the meta-model: tune a copy of the ImageNet trunk on meta-train data sets.

python -m benchmarks.train_trunk --data meta-train/*.zip [--leave-out NAME] --out run/trunk_all.safetensors

With ``--leave-out`` that data set is never read: the trunk is for measuring on it. With ``--leave-out-classes``
about a third of the classes of every larger set is not trained on (`medmeta.tasks.held_out_classes`): the trunk is
for measuring on those. An interrupted run is taken up from its last checkpoint.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.machine import describe
from medmeta.models import weights
from medmeta.models.backbones import ASSETS, CARDS
from medmeta.models.efficientnet_lite import EfficientNetLite0
from medmeta.models.initialise import folded
from medmeta.tasks.held_out_classes import divide, held_out_classes
from medmeta.tasks.sources import open_set
from medmeta.training.trunk import TrunkSettings, pixel_set, train_trunk

#: Scans are kept at this multiple of the side that the trunk is trained at; random views are cut from them.
MARGIN = 8 / 7


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--leave-out", default="", metavar="NAME", help="stem of a data set not to train on")
    parser.add_argument("--leave-out-classes", action="store_true", help="hold classes of each set out")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=TrunkSettings.steps)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = TrunkSettings(steps=options.steps)
    print(describe(settings.seed))
    paths = [path for path in options.data if path.stem != options.leave_out]
    sets = [data for path in paths for data in open_set(path)]
    held = {data.name: list(held_out_classes(data)) for data in sets} if options.leave_out_classes else {}
    if held:
        sets = [divide(data)[0] for data in sets]
    pixels = [pixel_set(data, round(settings.side * MARGIN)) for data in sets]
    print("trains on", ", ".join(f"{data.name} ({len(data.images)})" for data in pixels), flush=True)
    card = CARDS["efficientnet_lite0"]
    assert card.weights is not None
    network = EfficientNetLite0()
    weights.load_into(network, ASSETS / card.weights)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    start = time.perf_counter()

    def show(fraction: float, message: str) -> None:
        if round(fraction * settings.steps) % 50 == 0:
            print(f"{time.perf_counter() - start:6.0f} s  {message}", flush=True)

    train_trunk(
        network,
        card,
        pixels,
        settings,
        checkpoint=options.out.with_suffix(".checkpoint.safetensors"),
        progress=show,
    )
    about = {
        "format": "medmeta trunk 1",
        "start": "ImageNet weights of efficientnet_lite0",
        "trained_on": [data.name for data in pixels],
        "left_out": options.leave_out or None,
        "left_out_classes": held,
        "settings": asdict(settings),
        "machine": describe(settings.seed),
    }
    weights.write(options.out, folded(network).state_dict(), about)


if __name__ == "__main__":
    main()
