"""Readiness in words, against entries made by hand."""

from __future__ import annotations

from medmeta.workspace.readiness import check, patients_per_class
from medmeta.workspace.records import Entry


def entry(number, label="a", group=None, role="support", source="PatientID", modality="CR"):
    return Entry(
        id=number,
        task_id="t",
        scan_id=f"{number:064x}",
        file=f"f{number}",
        label=label,
        group=group or f"P{number}",
        group_source=source,
        role=role,
        modality=modality,
        rows=8,
        columns=8,
        frames=1,
        transfer_syntax=None,
        warnings=(),
        tags={},
    )


def good(count=5):
    return [entry(n, label) for label, start in (("a", 0), ("b", 100)) for n in range(start, start + count)]


def test_nothing_yet():
    state = check([])
    assert not state.ready
    assert "no scans" in state.problems[0]


def test_five_patients_of_two_classes_need_no_advice():
    assert check(good()) == check(good(5))
    assert check(good()).ready
    assert check(good()).advice == ()


def test_labels_missing_or_all_the_same():
    assert "None of the scans has a label" in check([entry(1, None)]).problems[0]
    assert "All labelled scans are “a”" in check([entry(1), entry(2)]).problems[0]


def test_patient_on_both_sides():
    state = check([*good(), entry(200, "a", "P0", "query"), entry(201, "b", "P201", "query")])
    assert "1 patient stands among both" in state.problems[0]
    assert "f200" in state.problems[0]
    assert "Folders" not in state.problems[0]


def test_folders_of_one_name_on_both_sides():
    (problem,) = check(
        [*good(), entry(200, "a", "P1", "query", "folder"), entry(201, "b", "P9", "query")]
    ).problems
    assert "Folders of one name" in problem
    assert "name each in the table" in problem


def test_unlabelled_test_scan_of_a_known_patient_is_no_problem():
    assert check([*good(), entry(200, None, "P0", "query")]).ready


def test_test_scans_of_one_class_or_an_unknown_one():
    assert "All labelled test scans" in check([*good(), entry(200, "a", role="query")]).problems[0]
    strange = check([*good(), entry(200, "a", role="query"), entry(201, "z", role="query")])
    assert "z" in strange.problems[0]


def test_single_patients_leave_nothing_to_test_on():
    assert "single patient" in check([entry(1, "a"), entry(2, "b")]).problems[0]
    with_query = [entry(1, "a"), entry(2, "b"), entry(3, "a", role="query"), entry(4, "b", role="query")]
    assert check(with_query).ready


def test_advice():
    text = " ".join(check([*good(2), entry(300, None), entry(301, "a", source="file", modality="CT")]).advice)
    assert "Fewer than 5 patients in: a (3), b (2)" in text
    assert "1 scan without a label" in text
    assert "patient is not known" in text
    assert "CR, CT" in text
    uneven = check([*(entry(n, "a") for n in range(30)), *(entry(100 + n, "b") for n in range(5))])
    assert "more than five times" in uneven.advice[0]


def test_patients_count_once():
    scans = [entry(1, "a", "P1"), entry(2, "a", "P1"), entry(3, "a", "P2"), entry(4, None)]
    assert patients_per_class(scans) == {"a": 2}


def test_a_scan_without_a_label_asks_for_no_patient():
    loose = [entry(900 + n, None, source="file") for n in range(6)]
    advice = " ".join(check([*good(), *loose]).advice)
    assert "6 scans without a label" in advice
    assert "patient is not known" not in advice
    assert "For 1 scan the patient is not known" in " ".join(
        check([*good(), entry(950, source="file")]).advice
    )
