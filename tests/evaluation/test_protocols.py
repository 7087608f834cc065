"""The protocol never shows a learner the patient it is asked about, and counts patients."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from medmeta.errors import CancelledError, ModelError, TaskError
from medmeta.evaluation.protocols import evaluate
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, QUERY_SET

#: Six patients, two scans each but one; b/P5 lies on the wrong side.
ROWS = [
    ("a", "P1", 10), ("a", "P1", 11), ("a", "P2", 9), ("a", "P2", 12), ("a", "P3", 10),
    ("b", "P4", 20), ("b", "P4", 21), ("b", "P5", 10), ("b", "P5", 11), ("b", "P6", 22),
]  # fmt: skip


def test_leave_one_patient_out_by_hand(make: Any, learner: Any) -> None:
    task = make(ROWS)
    model, found = evaluate(learner, task, seed=7)
    assert model.classes == ("a", "b")
    assert found.protocol == LEAVE_ONE_GROUP_OUT
    assert found.confusion == ((5, 0), (2, 3))
    assert (found.patients.correct, found.patients.n) == (5, 6)
    assert found.accuracy == 0.8
    assert (found.n_support, found.n_support_groups, found.n_groups) == (10, 6, 6)
    assert [case.file for case in found.cases] == [scan.file for scan in task.scans]
    assert found.seconds > 0
    assert found.provenance["seed"] == 7
    assert found.provenance["folds"] == 6
    assert found.provenance["device"] == "CPU"
    lines = sorted(f"{scan.id}\t{label}" for scan, label in zip(task.scans, task.labels, strict=True))
    assert found.provenance["support_sha256"] == hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_no_fold_adapts_on_the_patient_it_predicts(make: Any, learner: Any) -> None:
    task = make(ROWS)
    evaluate(learner, task)
    whole, *folds = learner.seen
    assert len(whole.scans) == 10
    left_out = [set(task.groups) - set(fold.groups) for fold in folds]
    assert all(len(groups) == 1 for groups in left_out)
    assert set().union(*left_out) == set(task.groups)
    for fold in folds:  # whole patients only
        for group in set(fold.groups):
            assert fold.groups.count(group) == task.groups.count(group)


def test_query_set_uses_the_model_of_the_whole_support(make: Any, learner: Any) -> None:
    support = make(ROWS)
    query = make([("b", "Q1", 30), ("b", "Q2", 31), ("a", "Q3", 5)])
    _, found = evaluate(learner, support, query)
    assert len(learner.seen) == 1
    assert found.protocol == QUERY_SET
    assert (found.patients.correct, found.patients.n, found.n_groups) == (3, 3, 3)
    assert found.provenance["query_sha256"]
    assert any("Every patient was right" in note for note in found.notes)


def test_query_may_lack_a_class(make: Any, learner: Any) -> None:
    support = make([*ROWS, ("c", "P7", 40)])
    _, found = evaluate(learner, support, make([("a", "Q1", 9), ("b", "Q2", 31)]))
    assert found.classes == ("a", "b", "c")
    assert found.per_class[2].sensitivity is None
    assert found.balanced_accuracy == 0.5  # b at 31 lies nearer to c at 40 than to b's mean
    assert any("no scan of “c”" in note for note in found.notes)


def test_overlap_of_support_and_query_is_refused(make: Any, learner: Any) -> None:
    with pytest.raises(TaskError, match="one patient is in the support"):
        evaluate(learner, make(ROWS), make([("a", "P1", 99), ("b", "Q", 98)]))
    with pytest.raises(TaskError, match="folders of one name count as one patient"):
        evaluate(learner, make(ROWS), make([("a", "P1", 99), ("b", "Q", 98)], group_source="folder"))
    assert learner.seen == []


def test_class_of_a_single_patient_is_always_wrong_and_noted(make: Any, learner: Any) -> None:
    rows = [("a", "P1", 1), ("a", "P2", 2), ("b", "P3", 11), ("b", "P4", 12), ("c", "P5", 21)]
    _, found = evaluate(learner, make(rows))
    assert found.classes == ("a", "b", "c")
    last = found.cases[-1]
    assert last.probabilities[2] == 0.0
    assert not last.correct
    assert sum(last.probabilities) == pytest.approx(1.0)
    assert found.per_class[2].sensitivity == 0.0
    assert any("Only one patient has “c”" in note for note in found.notes)


def test_fold_left_with_one_class_answers_by_frequency_and_abstains(make: Any, learner: Any) -> None:
    _, found = evaluate(learner, make([("a", "P1", 1), ("a", "P2", 2), ("b", "P3", 11)]))
    last = found.cases[-1]
    assert (last.predicted, last.probabilities, last.abstained) == ("a", (1.0, 0.0), True)
    assert (found.patients.correct, found.patients.n) == (2, 3)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", "P1", 1), ("b", "P1", 2)], "at least 2 patients"),
        ([("a", "P1", 1), ("b", "P2", 2)], "second patient"),
        ([("a", "P1", 1), ("b", "P1", 2), ("a", "P2", 3), ("b", "P2", 4)], "second patient"),
    ],
)
def test_too_few_patients_is_refused_with_advice(make: Any, learner: Any, rows: Any, words: str) -> None:
    with pytest.raises(TaskError, match=words) as error:
        evaluate(learner, make(rows))
    assert "query set" in str(error.value)
    assert learner.seen == []


def test_baselines_run_on_the_same_folds(make: Any, new_learner: Any) -> None:
    ours, other = new_learner(), new_learner(name="other")
    _, found = evaluate(ours, make(ROWS), baselines=[other])
    assert [task.groups for task in ours.seen[1:]] == [task.groups for task in other.seen]
    (comparison,) = found.comparisons
    assert comparison.learner == "other"
    assert comparison.patients == found.patients
    assert comparison.difference == 0.0
    assert comparison.difference_interval.low < 0 < comparison.difference_interval.high
    assert any("Not better than a simple method: “other”" in note for note in found.notes)


def test_progress_rises_with_plain_sentences(make: Any, new_learner: Any) -> None:
    told: list[tuple[float, str]] = []
    evaluate(
        new_learner(),
        make(ROWS),
        baselines=[new_learner(name="other")],
        progress=lambda f, m: told.append((f, m)),
    )
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    messages = [message for _, message in told]
    assert "Patient 4 of 6" in messages
    assert "Patient 4 of 6, for comparison: other" in messages


def test_a_person_can_cancel_between_and_within_folds(make: Any, learner: Any) -> None:
    def stop_at(wanted: str) -> Any:
        def progress(fraction: float, message: str) -> None:
            if message == wanted:
                raise CancelledError("stopped")

        return progress

    with pytest.raises(CancelledError):
        evaluate(learner, make(ROWS), progress=stop_at("Patient 3 of 6"))
    assert len(learner.seen) == 3


def test_many_patients_share_folds_and_stay_whole(make: Any, learner: Any) -> None:
    rows = [("ab"[i % 2], f"P{i}", 10 + 10 * (i % 2)) for i in range(201)]
    task = make(rows)
    _, found = evaluate(learner, task)
    assert len(learner.seen) == 21
    tested = [set(task.groups) - set(fold.groups) for fold in learner.seen[1:]]
    assert sorted(itertools.chain(*tested)) == sorted(task.groups)
    assert found.patients.n == 201
    assert any("201 patients were left out in 20 groups" in note for note in found.notes)


@dataclass
class _Broken:
    inner: Any
    change: Any
    name: str = "broken"

    def adapt(self, support: Any, **kwargs: Any) -> Any:
        model = self.inner.adapt(support)
        change = self.change

        class Model:
            classes = model.classes

            def predict(self, scans: Any, **kwargs: Any) -> Any:
                return change(model.predict(scans))

        return Model()


@pytest.mark.parametrize(
    "change",
    [
        lambda p: replace(p, probabilities=p.probabilities * np.nan),
        lambda p: replace(p, probabilities=p.probabilities * 2),
        lambda p: replace(p, probabilities=p.probabilities[:0]),
        lambda p: replace(p, labels=tuple("z" for _ in p.labels)),
        lambda p: replace(p, classes=("a", "z")),
    ],
)
def test_a_learner_that_breaks_the_contract_is_named(make: Any, learner: Any, change: Any) -> None:
    with pytest.raises(ModelError, match="broken"):
        evaluate(_Broken(learner, change), make(ROWS))


def test_a_distance_without_bound_is_kept_finite(make: Any, learner: Any) -> None:
    far = _Broken(learner, lambda p: replace(p, out_of_domain=np.full(len(p.labels), np.inf)))
    _, found = evaluate(far, make(ROWS))
    assert {case.out_of_domain for case in found.cases} == {1e6}


def test_class_order_of_the_fold_model_does_not_matter(make: Any, learner: Any) -> None:
    turned = _Broken(
        learner, lambda p: replace(p, classes=p.classes[::-1], probabilities=p.probabilities[:, ::-1])
    )
    plain = evaluate(learner, make(ROWS))[1]
    assert evaluate(turned, make(ROWS))[1].cases == plain.cases
