"""Baseline: ridge regression on one-hot labels (Rifkin et al. 2003; as few-shot head Bertinetto et al. 2019,
arXiv:1805.08136)."""

from __future__ import annotations

from functools import partial

from medmeta.learners.frozen import FrozenLearner
from medmeta.models import heads
from medmeta.models.features import FeatureExtractor
from medmeta.models.stack import HeadSetting

RIDGE = HeadSetting("ridge", partial(heads.ridge, strength=0.3), temperature=6.9)


def ridge(extractor: FeatureExtractor) -> FrozenLearner:
    return FrozenLearner("ridge", (RIDGE,), extractor)
