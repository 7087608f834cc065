"""Baseline: MAML (Finn et al. 2017, arXiv:1703.03400): a start from which a few gradient steps learn a new task.

The end of the network and the classifier adapt; the start, and a rate for each tensor (Li et al. 2017,
arXiv:1707.09835; Antoniou et al. 2019, arXiv:1810.09502), were meta-trained through the exact second-order gradient.
"""

from __future__ import annotations

from pathlib import Path

from medmeta.learners.tuned import InnerLoopLearner
from medmeta.models.features import FeatureExtractor


def maml(extractor: FeatureExtractor, weights: Path | None = None) -> InnerLoopLearner:
    return InnerLoopLearner.read("maml", extractor, weights)
