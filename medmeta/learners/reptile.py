"""Baseline: Reptile (Nichol et al. 2018, arXiv:1803.02999): a start that was moved towards adapted weights.

It adapts as MAML does, with fixed rates, since nothing differentiates through its inner loop.
"""

from __future__ import annotations

from pathlib import Path

from medmeta.learners.tuned import InnerLoopLearner
from medmeta.models.features import FeatureExtractor


def reptile(extractor: FeatureExtractor, weights: Path | None = None) -> InnerLoopLearner:
    return InnerLoopLearner.read("reptile", extractor, weights)
