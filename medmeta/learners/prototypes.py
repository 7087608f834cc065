"""Baseline: cosine to the mean of each class (Snell et al. 2017, arXiv:1703.05175), no training at all."""

from __future__ import annotations

from medmeta.learners.frozen import FrozenLearner
from medmeta.models import heads
from medmeta.models.features import FeatureExtractor
from medmeta.models.stack import HeadSetting

PROTOTYPES = HeadSetting("prototypes", heads.prototypes, temperature=23.6)


def prototypes(extractor: FeatureExtractor) -> FrozenLearner:
    return FrozenLearner("prototypes", (PROTOTYPES,), extractor)
