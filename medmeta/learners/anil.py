"""Baseline: ANIL, almost no inner loop (Raghu et al. 2020, arXiv:1909.09157): the classifier alone adapts.

The end of the network was meta-trained to give features from which a few steps on the classifier suffice.
"""

from __future__ import annotations

from pathlib import Path

from medmeta.learners.tuned import InnerLoopLearner
from medmeta.models.features import FeatureExtractor


def anil(extractor: FeatureExtractor, weights: Path | None = None) -> InnerLoopLearner:
    return InnerLoopLearner.read("anil", extractor, weights)
