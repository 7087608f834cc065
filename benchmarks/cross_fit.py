"""Features of the meta-train sets that no trunk was trained on: each set is read by the trunk that left it out.

What is meta-trained above the trunks then sees features as unfamiliar as those of a new disease will be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from medmeta.models import weights
from medmeta.models.backbones import Backbone, load_backbone
from medmeta.models.features import FeatureExtractor
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.tasks.sources import open_set
from medmeta.training.claims.ground import Statistics, scans_of
from medmeta.training.tensors import extract_features

ALL = "all"


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Data sets with features of both trunks.

    Attributes:
        sets: by name.
        original, medical: statistics ``(n, D)`` of each, by name; the medical trunk never saw the set.
        blocks: lengths of the blocks of one trunk's statistics.
    """

    sets: Mapping[str, LabelledSet]
    original: Mapping[str, Tensor]
    medical: Mapping[str, Tensor]
    blocks: tuple[int, ...]

    def both(self, name: str) -> Tensor:
        """``(n, 2 * D)``: the original trunk's statistics, then the medical one's."""
        return torch.cat([self.original[name], self.medical[name]], dim=1)


def trunk_path(folder: Path, left_out: str) -> Path:
    """Where `benchmarks.train_trunk` wrote the trunk that left a set out (or :data:`ALL` for none)."""
    return folder / f"trunk_{left_out}.safetensors"


def load_trunk(path: Path) -> Backbone:
    """A trained medical trunk.

    Raises:
        ModelError: missing or altered.
    """
    tensors, card = weights.read(path)
    backbone = load_backbone("efficientnet_lite0")
    backbone.network.load_state_dict(tensors)
    return replace(backbone, sha256=str(card["sha256"]))


def cross_fit(data: Sequence[Path], folder: Path) -> CrossFit:
    """Read the data sets and compute (or look up in ``folder``) their features.

    Raises:
        ModelError: a trunk is missing; train it first.
    """
    sets = [found for path in data for found in open_set(path)]
    cpu, cache = torch.device("cpu"), folder / "features"
    plain = FeatureExtractor(load_backbone("efficientnet_lite0"), cpu)
    original = extract_features(sets, Statistics(plain), plain.backbone.sha256, cache)
    medical: dict[str, Tensor] = {}
    for labelled in sets:
        trunk = load_trunk(trunk_path(folder, labelled.name))
        rows = Statistics(FeatureExtractor(trunk, cpu))
        medical |= extract_features([labelled], rows, trunk.sha256, cache)
    return CrossFit({each.name: each for each in sets}, original, medical, plain.blocks)


def extractor_of(labelled: LabelledSet, backbone: Backbone, rows: Tensor) -> FeatureExtractor:
    """An extractor that remembers a set's features."""
    extractor = FeatureExtractor(backbone, torch.device("cpu"))
    extractor.remember(scans_of(labelled), rows)
    return extractor
