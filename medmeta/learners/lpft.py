"""Baseline: linear probe, then fine-tuning (LP-FT; Kumar et al. 2022, arXiv:2202.10054).

As `finetune`, with the same budget, but the classifier starts from the logistic regression on the frozen
features, so that its first random directions do not spoil them, and the network moves more slowly. The
temperature is the one that calibrates that logistic regression on an average meta-train task.
"""

from __future__ import annotations

from medmeta.learners.finetune import FineTuner
from medmeta.learners.logistic import LOGISTIC
from medmeta.models.features import FeatureExtractor


def lpft(extractor: FeatureExtractor, start: str = "conv1", steps: int = 30) -> FineTuner:
    """Linear probe, then fine-tuning from stage ``start`` on, for ``steps`` steps."""
    return FineTuner(
        "lpft",
        extractor,
        start,
        steps,
        trunk_rate=3e-5,
        head_rate=1e-3,
        temperature=LOGISTIC.temperature,
        head=LOGISTIC,
    )
