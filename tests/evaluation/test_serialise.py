"""JSON and back without loss; the command line's keys are there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from medmeta.errors import MedMetaError
from medmeta.evaluation.learning_curve import learning_curve
from medmeta.evaluation.protocols import evaluate
from medmeta.evaluation.repeated_folds import repeated_folds
from medmeta.evaluation.result import Evaluation
from medmeta.evaluation.serialise import from_json, to_json


@pytest.fixture
def evaluation(make: Any, new_learner: Any) -> Evaluation:
    rows = [
        ("a", "P1", 1),
        ("a", "P2", 2),
        ("b", "P3", 11),
        ("b", "P4", 12),
        ("c", "P5", 21),
        ("ä<b>", "P6", 33),
    ]
    return evaluate(new_learner(), make(rows), baselines=[new_learner(name="other")])[1]


def test_round_trip_is_exact(evaluation: Evaluation) -> None:
    text = json.dumps(to_json(evaluation), allow_nan=False)
    assert from_json(json.loads(text)) == evaluation


def test_divisions_come_back(evaluation: Evaluation, make: Any, learner: Any) -> None:
    rows = [("ab"[i % 2], f"P{i}", 10 + 10 * (i % 2) + i % 11) for i in range(12)]
    whole = replace(evaluation, repeated=repeated_folds(learner, make(rows)))
    assert whole.repeated is not None
    assert from_json(json.loads(json.dumps(to_json(whole), allow_nan=False))) == whole
    assert (
        from_json({key: value for key, value in to_json(whole).items() if key != "repeated"}).repeated is None
    )


def test_a_learning_curve_comes_back(evaluation: Evaluation, make: Any, learner: Any) -> None:
    rows = [("ab"[k], f"{'ab'[k]}{i}", 20 * k + i) for k in range(2) for i in range(4)]
    whole = replace(evaluation, curve=learning_curve(learner, make(rows)))
    assert whole.curve is not None
    assert from_json(json.loads(json.dumps(to_json(whole), allow_nan=False))) == whole
    earlier = {key: value for key, value in to_json(whole).items() if key != "curve"}
    assert from_json(earlier).curve is None


def test_keys_of_the_command_line(evaluation: Evaluation) -> None:
    data = to_json(evaluation)
    promised = {
        "classes", "n_support", "n_groups", "seconds", "accuracy", "interval", "balanced_accuracy", "auroc",
        "confusion", "per_case",
    }  # fmt: skip
    assert promised <= set(data)
    assert {"file", "label", "predicted", "probabilities", "abstained"} <= set(data["per_case"][0])
    assert data["interval"] == [evaluation.interval.low, evaluation.interval.high]
    assert list(data["per_case"][0]["probabilities"]) == list(evaluation.classes)
    assert "Research use only" in data["research_use_only"]


def test_unbounded_distances_are_valid_json(evaluation: Evaluation) -> None:
    first = replace(evaluation.cases[0], out_of_domain=float("inf"))
    changed = replace(evaluation, cases=(first, *evaluation.cases[1:]))
    assert from_json(json.loads(json.dumps(to_json(changed), allow_nan=False))) == changed


@pytest.mark.parametrize("drop", ["classes", "patients", "per_case"])
def test_other_files_are_refused_in_words(evaluation: Evaluation, drop: str) -> None:
    data = to_json(evaluation)
    del data[drop]
    with pytest.raises(MedMetaError, match=f"not an evaluation written by MedMeta.*{drop}"):
        from_json(data)


def test_figures_of_many_patients_come_back_exactly(make: Any, new_learner: Any) -> None:
    rows = [("ab"[i % 2], f"P{i}", 10 + 10 * (i % 2) + i % 11) for i in range(60)]
    found = evaluate(new_learner(), make(rows, modality={"a": "CT", "b": "MR"}))[1]
    assert found.reliability
    assert found.leaks
    assert found.suspects
    assert any(figure.value is not None for figure in found.further)
    assert from_json(json.loads(json.dumps(to_json(found), allow_nan=False))) == found


def test_evaluations_saved_by_earlier_versions_stay_readable(evaluation: Evaluation) -> None:
    data = to_json(evaluation)
    for name in ("further", "reliability", "leaks", "suspects"):
        del data[name]
    assert from_json(data) == replace(evaluation, further=(), reliability=(), leaks=(), suspects=())
