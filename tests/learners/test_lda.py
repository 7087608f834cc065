"""The LDA baseline on features that carry a known signal; its head is tested against scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_network import scan, task, tiny_extractor

from medmeta.learners.lda import lda
from medmeta.learners.registry import load_task_model

QUERY = [scan(kind, 5000 + 10 * kind + i) for kind in range(3) for i in range(8)]
TRUTH = [name for name in "abc" for _ in range(8)]


def test_learns_and_is_saved_as_every_frozen_learner(tmp_path: Path) -> None:
    extractor = tiny_extractor()
    model = lda(extractor).adapt(task())
    answer = model.predict(QUERY)
    assert np.mean([found == true for found, true in zip(answer.labels, TRUTH, strict=True)]) > 0.8
    model.save(tmp_path)
    again = load_task_model(tmp_path, extractor).predict(QUERY)
    assert np.array_equal(again.probabilities, answer.probabilities)


def test_an_unsure_scan_is_not_called_certain() -> None:
    """The scores of LDA are large where the spread within classes is small; the temperature makes up for it."""
    model = lda(tiny_extractor()).adapt(task(shots=6))
    sure = model.predict(QUERY).probabilities.max(axis=1)
    assert 0.4 < np.median(sure) < 1.0 - 1e-6


def test_one_scan_a_class_still_answers() -> None:
    answer = lda(tiny_extractor()).adapt(task(shots=1)).predict(QUERY)
    assert np.isfinite(answer.probabilities).all()
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1.0, atol=1e-12)
