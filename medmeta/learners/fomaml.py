"""Baseline: first-order MAML (Finn et al. 2017, arXiv:1703.03400, section 5.2).

It adapts as MAML does; only its start was meta-trained with the gradient taken at the adapted weights, as if
these did not depend on the start in any other way.
"""

from __future__ import annotations

from pathlib import Path

from medmeta.learners.tuned import InnerLoopLearner
from medmeta.models.features import FeatureExtractor


def fomaml(extractor: FeatureExtractor, weights: Path | None = None) -> InnerLoopLearner:
    return InnerLoopLearner.read("fomaml", extractor, weights)
