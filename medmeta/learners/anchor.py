"""The anchor: ridge regression and logistic regression on frozen features, stacked by left-out patients.

Both heads are closed or convex, so the answer depends on the support alone. Strengths and temperatures were
chosen on the meta-train sets (`python -m benchmarks.tune_anchor`), never on meta-test.
"""

from __future__ import annotations

from medmeta.learners.frozen import FrozenLearner
from medmeta.learners.logistic import LOGISTIC
from medmeta.learners.ridge import RIDGE
from medmeta.models.features import FeatureExtractor


def anchor(extractor: FeatureExtractor) -> FrozenLearner:
    return FrozenLearner("anchor", (RIDGE, LOGISTIC), extractor)
