"""Step 3: train the shipped meta-model on all meta-train sets and write it, with the medical trunk, to `assets/`.

python -m benchmarks.train_meta_model --data meta-train/*.zip --trunks run [--figures run/loo.json]

The whole training, from the ImageNet trunk on: ``make meta-model DATA=...``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cross_fit import ALL, cross_fit, trunk_path
from benchmarks.machine import describe
from medmeta.learners.medmeta import SHIPPED
from medmeta.models import weights
from medmeta.models.backbones import ASSETS, CARDS
from medmeta.models.meta_model_file import write_meta_model
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.training.recipe import Recipe, train_model

#: Of the data sets the shipped model was trained on; others are named without a licence.
LICENCES: Mapping[str, str] = {
    "pbc_blood": "CC BY 4.0, Acevedo et al. 2020, PBC dataset",
    "brain_tumor_mri": "CC0, Nickparvar, Brain Tumor MRI",
    "knee_oa_xray": "CC BY 4.0, Chen 2018, from OAI",
    "iqoth_nccd_ct": "CC BY 4.0, IQ-OTH/NCCD lung cancer",
    "med_nist": "CC BY-SA 4.0, MedNIST",
}
LIMITS = [
    "few scans prove little: read the interval beside every figure",
    "trained on five public data sets of five modalities; on others it may be no better than simple methods",
    "reads one frame at 224 x 224 pixels; no volumes, no report text",
    "some training sets name no patients, so their groups are files",
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument(
        "--trunks", type=Path, required=True, help="folder that benchmarks.train_trunk wrote to"
    )
    parser.add_argument("--figures", type=Path, help="what benchmarks.leave_one_out wrote, for the card")
    options = parser.parse_args()
    print(describe(Recipe.seed))
    data = cross_fit(options.data, options.trunks)
    sets = list(data.sets.values())
    features = {name: data.both(name) for name in data.sets}
    recipe = Recipe()
    model, report = train_model(
        sets, features, [*data.blocks, *data.blocks], recipe, options.trunks / "meta_model"
    )
    about: dict[str, Any] = {
        "training_sets": {name: LICENCES.get(name, "licence not recorded") for name in data.sets},
        "settings": asdict(recipe),
        "seconds": round(report.seconds),
        "machine": describe(recipe.seed),
        "intended_use": RESEARCH_USE_ONLY,
        "limits": LIMITS,
    }
    trunk, card = weights.read(trunk_path(options.trunks, ALL))
    half = {name: value.half() for name, value in trunk.items()}
    wanted = CARDS["medical_lite0"].weights
    assert wanted is not None
    weights.write(
        ASSETS / wanted,
        half,
        {
            "name": "medical_lite0",
            "what": "EfficientNet-Lite0 trunk tuned on medical data sets, batch normalisation folded, float16",
            "start": card["start"],
            **{key: about[key] for key in ("training_sets", "intended_use", "limits")},
            "settings": card["settings"],
            "machine": card["machine"],
            "licence": CARDS["medical_lite0"].licence,
        },
    )
    if options.figures is not None:
        figures = json.loads(options.figures.read_text(encoding="utf-8"))
        about["left_out_accuracy"] = figures["accuracy"]["medmeta"]
        about["left_out_gain"] = figures["differences"]["best baseline of each set"]
    about["backbones_sha256"] = {
        name: json.loads((ASSETS / f"{name}.json").read_text(encoding="utf-8"))["sha256"]
        for name in ("efficientnet_lite0", "medical_lite0")
    }
    sha256 = write_meta_model(SHIPPED, model, about)
    print(f"{SHIPPED.name}: {report.steps} steps in {report.seconds:.0f} s, sha256 {sha256}")


if __name__ == "__main__":
    main()
