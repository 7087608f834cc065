"""From a config to an untrained meta-model, and to the rows of features or maps it is meta-trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from medmeta.models.backbones import Backbone
from medmeta.models.cnn_meta import CnnMetaModel
from medmeta.models.deep_core import Space
from medmeta.models.episodic import EpisodicModel
from medmeta.models.features import FeatureExtractor
from medmeta.models.model_config import MetaConfig, parse_config
from medmeta.progress import Progress, silent
from medmeta.scans.scan import Scan
from medmeta.training.tensors import Extractor


def build_model(
    config: MetaConfig | Mapping[str, Any],
    *,
    seed: int | None = None,
    backbone: Backbone | None = None,
    blocks: Sequence[int] | None = None,
    features: Sequence[tuple[Tensor, Tensor]] | None = None,
) -> EpisodicModel:
    """An untrained meta-model; its tasks' rows are what :func:`rows_for` the same config gives.

    Without a dynamic stage it is `MetaModel` behind its embedding of plain features.

    Args:
        config: checked, or a mapping for `parse_config`.
        seed: in place of the config's.
        backbone: the config's, already loaded.
        blocks: lengths of the blocks of features; by default one, the backbone's.
        features: ``(n, D)`` features and ``(n,)`` targets of each meta-train set, from which the core takes its
            centre and within-class directions; without them it knows neither.

    Raises:
        ModelError: the config is wrong, or its backbone cannot be loaded.
    """
    checked = config if isinstance(config, MetaConfig) else parse_config(config)
    sizes = tuple(blocks) if blocks is not None else None
    space = None
    if features is not None:
        space = Space.of(features, sizes or (features[0][0].shape[1],))
    elif sizes is not None:
        space = Space.unknown(sizes, checked.meta_model.seed if seed is None else seed)
    return CnnMetaModel.from_config(checked, backbone, seed, space)


@dataclass(frozen=True, eq=False)
class MapRows:
    """Rows for a model with dynamic stages: the flattened map that stage ``start`` takes, of a scan's first view."""

    extractor: FeatureExtractor
    start: str

    def extract(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        """``(n, C*h*w)`` float16 on the CPU."""
        rows = []
        for number, scan in enumerate(scans, start=1):
            view = self.extractor.stack(scan)[:1].to(self.extractor.device)
            with torch.no_grad():
                maps = self.extractor.trunk.run(view, stop=self.start)
            rows.append(maps.half().cpu().contiguous().flatten())
            progress(number / len(scans), f"Looked at scan {number} of {len(scans)}")
        return torch.stack(rows) if rows else torch.empty(0, 0, dtype=torch.float16)


def rows_for(config: MetaConfig, extractor: FeatureExtractor) -> Extractor:
    """What turns scans into the rows of the config's tasks: features, or maps where a stage is dynamic."""
    dynamic = config.meta_model.dynamic_stages
    first = [name for name in extractor.trunk.stage_names if name in dynamic][:1]
    return MapRows(extractor, first[0]) if first else extractor
