"""Figures in words, where they are easily wrong."""

from __future__ import annotations

import pytest

from medmeta.reports.words import seconds


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "under 0.1 s"), (0.04, "under 0.1 s"), (0.1, "0.1 s"), (4.23, "4.2 s"), (90.0, "1.5 min")],
)
def test_nothing_takes_no_time(value: float, words: str) -> None:
    assert seconds(value) == words
