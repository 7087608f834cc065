"""Two trunks side by side: what ImageNet taught, and what medical data sets taught on top.

A trunk tuned on some modalities forgets a little of others; the untouched one beside it keeps what it knew
(universal representations, Bilen and Vedaldi 2017, arXiv:1701.07275).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from medmeta.errors import ModelError
from medmeta.models.backbones import load_backbone
from medmeta.models.feature_space import embed
from medmeta.models.features import FeatureExtractor
from medmeta.progress import Progress, silent
from medmeta.scans.scan import Scan

#: The trunk that was tuned on the meta-train sets, by the original's name.
MEDICAL = {"efficientnet_lite0": "medical_lite0"}


@dataclass(frozen=True, eq=False)
class TwinExtractor:
    """Features of both trunks, the original's first."""

    original: FeatureExtractor
    medical: FeatureExtractor

    @classmethod
    def beside(cls, original: FeatureExtractor) -> TwinExtractor:
        """The shipped medical trunk beside an extractor, loaded once for it.

        Raises:
            ModelError: its weights are missing or altered, or there is none for this backbone.
        """
        card = original.backbone.card
        name = MEDICAL.get(card.name)
        if name is None:
            raise ModelError(
                f"no medical trunk goes with {card.name}; there is one for: {', '.join(MEDICAL)}"
            )
        return cls(original, original.companion(lambda: load_backbone(name)))

    @property
    def blocks(self) -> tuple[int, ...]:
        """Lengths of the blocks of :meth:`extract`."""
        return (*self.original.blocks, *self.medical.blocks)

    def extract(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        """Statistics of both, ``(n, sum(blocks))`` float32 on the CPU."""
        return self.original.statistics_beside(self.medical, scans, progress=progress)


@dataclass(frozen=True, eq=False)
class TwinSpace:
    """Where the meta-model's heads live: both trunks' statistics around the centre of the meta-train sets.

    Attributes:
        twin: both trunks.
        centre: ``(D,)`` float64.
    """

    twin: TwinExtractor
    centre: Tensor

    @property
    def size(self) -> int:
        """D."""
        return sum(self.twin.blocks)

    def embed(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        """``(n, D)`` float64 rows of unit length; see `feature_space.embed`."""
        return embed(self.twin.extract(scans, progress=progress), self.twin.blocks, self.centre)
