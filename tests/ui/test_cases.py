"""Words about doubtful answers."""

from __future__ import annotations

from medmeta.learners.frozen import OUT_OF_DOMAIN
from medmeta.ui.cases import doubts
from medmeta.workspace.reading import Reading


def reading(abstained, distance):
    return Reading("0" * 64, "f", ("a", "b"), "a", (0.6, 0.4), abstained, distance, ())


def test_sure_answer_has_no_doubts():
    assert doubts(reading(False, OUT_OF_DOMAIN / 2)) == []


def test_unlike_and_unsure_are_said_apart():
    unlike, unsure = doubts(reading(True, OUT_OF_DOMAIN + 1))
    assert f"{OUT_OF_DOMAIN + 1:.1f} times as far" in unlike
    assert "look at it yourself" in unsure
