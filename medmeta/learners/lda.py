"""Baseline: linear discriminant analysis with a shrunk covariance on frozen features (Friedman 1989; Ledoit and
Wolf 2004, doi:10.1016/S0047-259X(03)00096-4)."""

from __future__ import annotations

from functools import partial

from medmeta.learners.frozen import FrozenLearner
from medmeta.models import heads
from medmeta.models.features import FeatureExtractor
from medmeta.models.stack import HeadSetting

LDA = HeadSetting("lda", partial(heads.lda, shrinkage=0.9), temperature=0.0092)


def lda(extractor: FeatureExtractor) -> FrozenLearner:
    return FrozenLearner("lda", (LDA,), extractor)
