"""Baseline: logistic regression on frozen features, the linear probe of Chen et al. 2019 (arXiv:1904.04232)."""

from __future__ import annotations

from functools import partial

from medmeta.learners.frozen import FrozenLearner
from medmeta.models import heads
from medmeta.models.features import FeatureExtractor
from medmeta.models.stack import HeadSetting

LOGISTIC = HeadSetting("logistic", partial(heads.logistic, strength=0.03), temperature=1.17)


def logistic(extractor: FeatureExtractor) -> FrozenLearner:
    return FrozenLearner("logistic", (LOGISTIC,), extractor)
