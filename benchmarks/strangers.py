"""Are stray scans found, and is a kind of picture that the model was not trained on told from one that it was?

python -m benchmarks.strangers --data meta-train/*.zip [--test meta-test/*.zip] [--draws 100] [--write]

Strays: sets of two or three classes of a data set, then one or two scans of another data set put among them. How many
sets without a stray have one named (false alarms), how many strays are named, and how often others with them. Kinds:
for each data set, whether sets of its scans count as new when its classes are known (from other scans), and when they
are not. MedNIST's classes are parts of the body: another one is no stray there, so strays are not put into it. With
``--write`` the mean vectors of all classes of ``--data`` are written to `assets/`, as the workbench reads them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import describe
from benchmarks.shares import share
from benchmarks.train_meta_model import LICENCES
from medmeta.models import weights
from medmeta.models.backbones import load_backbone
from medmeta.models.features import FeatureExtractor
from medmeta.models.kinds import SHIPPED_KINDS
from medmeta.scans.scan import Scan
from medmeta.scans.strangers import Kinds, Vectors, is_new, strays, unit
from medmeta.tasks.sources import open_set

#: How a data set's pictures are called; of MedNIST, those of each class.
KINDS: Mapping[str, str | Mapping[str, str]] = {
    "pbc_blood": "blood smears",
    "brain_tumor_mri": "brain MRI",
    "knee_oa_xray": "knee X-rays",
    "iqoth_nccd_ct": "chest CT",
    "med_nist": {
        "AbdomenCT": "abdominal CT",
        "BreastMRI": "breast MRI",
        "CXR": "chest X-rays",
        "ChestCT": "chest CT",
        "Hand": "hand X-rays",
        "HeadCT": "head CT",
    },
}
#: Scans of a class that are read; half of them make its mean where the other half is asked for.
A_CLASS = 60
#: Classes and scans of a class in a set.
SETS = ((2, 3), (2, 5), (3, 5), (3, 10))  # the first is smaller than the program asks for
#: Scans of a set that is asked whether it is new.
ASKED = 20


@dataclass(frozen=True, eq=False)
class Looks:
    """Feature vectors of a data set, ``(n, D)`` of length 1, with the class and the patient of each."""

    name: str
    vectors: Vectors
    targets: np.ndarray[tuple[int], np.dtype[np.int64]]
    groups: tuple[str, ...]
    classes: tuple[str, ...]

    def means(self, kept: slice) -> Vectors:
        """Of each class, over its scans ``kept``."""
        each = [self.vectors[self.targets == c][kept].mean(axis=0) for c in range(len(self.classes))]
        return unit(np.stack(each))

    def kinds(self) -> list[str]:
        known = KINDS.get(self.name, self.name.replace("_", " "))
        return [known if isinstance(known, str) else known.get(each, each) for each in self.classes]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--test", nargs="*", type=Path, default=[], help="sets that nothing was chosen by")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    print(describe(options.seed), flush=True)
    extractor = FeatureExtractor(load_backbone("efficientnet_lite0"), torch.device("cpu"))
    train, test = (
        [looks for path in paths for looks in looks_of(path, extractor, options.seed)]
        for paths in (options.data, options.test)
    )
    print(
        "\n| data set | classes x scans | false alarms | one stray found | two of a kind found | named beside |"
    )
    print("|---|---|---|---|---|---|")
    for own in [*train, *test]:
        others = train if own in train else [*train, *test]
        for row in stray_rows(own, [each for each in others if each is not own], options):
            print(row, flush=True)
    print(
        "\n| data set | scans known (classes known) | sets new | scans known (classes not known) | sets new |"
    )
    print("|---|---|---|---|---|")
    for own in [*train, *test]:
        print(kind_row(own, [each for each in train if each is not own], options), flush=True)
    if options.write:
        write(train, extractor.backbone.sha256)


def looks_of(path: Path, extractor: FeatureExtractor, seed: int) -> list[Looks]:
    found = []
    for data in open_set(path):
        random = np.random.default_rng(seed)
        chosen = np.concatenate(
            [
                random.permutation(np.flatnonzero(data.targets == c))[:A_CLASS]
                for c in range(len(data.classes))
            ]
        )
        scans = [scan for i in chosen if isinstance(scan := data.items[i], Scan)]
        found.append(
            Looks(
                data.name,
                unit(extractor.extract(scans).numpy()),
                data.targets[chosen],
                tuple(str(data.groups[i]) for i in chosen),
                tuple(data.classes),
            )
        )
    return found


def stray_rows(own: Looks, others: Sequence[Looks], options: argparse.Namespace) -> list[str]:
    if own.name == "med_nist":
        return []
    rows = []
    for ways, count in SETS:
        if ways > len(own.classes):
            continue
        random = np.random.default_rng(options.seed)
        alarms: list[bool] = []
        one: list[bool] = []
        two: list[bool] = []
        beside: list[bool] = []
        for _ in range(options.draws):
            places = draw(own, ways, count, random)
            vectors, groups = own.vectors[places], [own.groups[i] for i in places]
            alarms.append(bool(strays(vectors, groups)))
            other = others[int(random.integers(len(others)))]
            kind = random.integers(len(other.classes))
            guests = random.choice(np.flatnonzero(other.targets == kind), 2, replace=False)
            for number, found in ((1, one), (2, two)):
                mixed = np.concatenate([vectors, other.vectors[guests[:number]]])
                named = strays(mixed, [*groups, *(f"guest {i}" for i in range(number))])
                strangers = [i for i in named if i >= len(places)]
                found.append(len(strangers) == number)
                beside.append(len(named) > len(strangers))
        rows.append(
            f"| {own.name} | {ways} x {count} | {share(alarms)} | {share(one)} | {share(two)} | {share(beside)} |"
        )
    return rows


def kind_row(own: Looks, others: Sequence[Looks], options: argparse.Namespace) -> str:
    half = A_CLASS // 2
    foreign = np.concatenate([each.means(slice(None)) for each in others])
    rest = np.concatenate([np.flatnonzero(own.targets == c)[half:] for c in range(len(own.classes))])
    cells = []
    for means in (np.concatenate([foreign, own.means(slice(half))]), foreign):
        kinds = Kinds(("",) * len(means), means)
        random = np.random.default_rng(options.seed)
        known = [not is_new(own.vectors[[i]], kinds) for i in rest]
        new = [
            is_new(own.vectors[random.choice(rest, ASKED, replace=False)], kinds)
            for _ in range(options.draws)
        ]
        cells += [share(known), share(new)]
    return f"| {own.name} | {' | '.join(cells)} |"


def draw(own: Looks, ways: int, count: int, random: np.random.Generator) -> list[int]:
    classes = random.permutation(len(own.classes))[:ways]
    return [
        int(i) for c in classes for i in random.choice(np.flatnonzero(own.targets == c), count, replace=False)
    ]


def write(train: Sequence[Looks], backbone: str) -> None:
    means = np.concatenate([each.means(slice(None)) for each in train])
    card = {
        "what": "mean feature vectors of the classes the model was trained on, of length 1, float16",
        "kinds": [kind for each in train for kind in each.kinds()],
        "training_sets": {each.name: LICENCES.get(each.name, "licence not recorded") for each in train},
        "scans_a_class": A_CLASS,
        "backbone_sha256": backbone,
    }
    weights.write(SHIPPED_KINDS, {"means": torch.from_numpy(means).half()}, card)
    print(f"\nwrote {SHIPPED_KINDS.name}: {len(means)} classes")


if __name__ == "__main__":
    main()
