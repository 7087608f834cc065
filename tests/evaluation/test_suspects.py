"""A wrong label is the first suspect; right ones, and classes nobody can confirm, are none."""

from __future__ import annotations

from typing import Any

import pytest

from medmeta.evaluation.protocols import evaluate
from medmeta.evaluation.result import Case
from medmeta.evaluation.suspects import doubts, suspects

ROWS = [*[("a", f"A{i}", 10 + i % 2) for i in range(5)], *[("b", f"B{i}", 30 + i % 2) for i in range(5)]]


def case(name: str, label: str, *p: float) -> Case:
    return Case(name, f"id {name}", f"patient {name}", label, "a", p, False, 0.0)


def test_doubt_is_the_lead_of_the_best_other_label() -> None:
    cases = [case("1", "a", 0.7, 0.2, 0.1), case("2", "b", 0.6, 0.3, 0.1)]
    assert doubts(cases, ("a", "b", "c")) == pytest.approx([-0.5, 0.3])


def test_a_planted_wrong_label_comes_first_with_what_it_should_be(make: Any, new_learner: Any) -> None:
    rows = [*ROWS[:-1], ("a", "wrong", 31)]
    found = evaluate(new_learner(), make(rows), baselines=[new_learner(name="other")])[1].suspects
    assert (found[0].group, found[0].label, found[0].suggested) == ("wrong", "a", "b")
    assert found[0].doubt > 0.9
    assert len(found) <= 3


def test_no_suspects_among_right_labels(make: Any, learner: Any) -> None:
    assert evaluate(learner, make(ROWS))[1].suspects == ()


def test_a_class_of_one_patient_is_not_suspected(make: Any, learner: Any) -> None:
    found = evaluate(learner, make([*ROWS, ("c", "only", 50)]))[1]
    assert not found.cases[-1].correct
    assert "only" not in {suspect.group for suspect in found.suspects}


def test_a_query_set_names_none_of_the_support(make: Any, learner: Any) -> None:
    query = make([("a", "Q1", 30), ("b", "Q2", 10)])
    assert evaluate(learner, make(ROWS), query)[1].suspects == ()


def test_the_order_is_by_doubt_and_limited() -> None:
    cases = [case(str(i), "a" if i else "b", 0.5 - i / 20, 0.5 + i / 20) for i in range(6)]
    cases.append(case("other", "b", 0.0, 1.0))
    assert [suspect.file for suspect in suspects(cases, ("a", "b"))] == ["5", "4", "3"]
