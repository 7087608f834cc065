"""Early stopping on hand-made scores."""

from __future__ import annotations

from medmeta.training.early_stopping import EarlyStopping


def test_it_stops_after_patience_epochs_without_a_better_score() -> None:
    stopping, improved, exhausted = EarlyStopping(2), [], []
    for epoch, score in enumerate([0.5, 0.4, 0.6, 0.6, 0.59], start=1):
        stopping = stopping.seen(epoch, score)
        improved.append(stopping.improved)
        exhausted.append(stopping.exhausted)
    assert improved == [True, False, True, False, False]
    assert exhausted == [False, False, False, False, True]
    assert (stopping.best, stopping.best_epoch) == (0.6, 3)


def test_nothing_seen_is_neither_better_nor_the_end() -> None:
    assert not EarlyStopping(1).improved
    assert not EarlyStopping(1).exhausted
