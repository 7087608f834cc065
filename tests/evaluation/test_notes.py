"""Each note appears when it must and stays away when it must."""

from __future__ import annotations

from typing import Any

from medmeta.evaluation.protocols import evaluate


def notes(task: Any, learner: Any, **kwargs: Any) -> str:
    return "\n".join(evaluate(learner, task, **kwargs)[1].notes)


def rows(per_class: int, classes: str = "ab") -> list[tuple[str, str, int]]:
    return [
        (label, f"P{label}{i}", 10 * (1 + position) + i % 3)
        for position, label in enumerate(classes)
        for i in range(per_class)
    ]


def test_few_patients(make: Any, learner: Any) -> None:
    assert "Too few patients" in notes(make(rows(5)), learner)
    assert "Too few patients" not in notes(make(rows(12)), learner)


def test_unknown_patients(make: Any, learner: Any) -> None:
    assert "All scans name no patient" in notes(make(rows(5), group_source="file"), learner)
    assert "name no patient" not in notes(make(rows(5)), learner)


def test_patients_known_by_their_folder(make: Any, learner: Any) -> None:
    said = "The patient of all scans is taken to be the folder"
    assert said in notes(make(rows(5), group_source="folder"), learner)
    assert "taken to be the folder" not in notes(make(rows(5)), learner)


def test_perfect_score_names_what_to_check(make: Any, learner: Any) -> None:
    assert "Every patient was right" in notes(make(rows(12)), learner)
    spoiled = [*rows(12), ("a", "PX", 20)]
    assert "Every patient was right" not in notes(make(spoiled), learner)


def test_shortcut_by_a_tag_is_named_once(make: Any, learner: Any) -> None:
    few = notes(make(rows(3), modality={"a": "CT", "b": "MR"}), learner)
    assert "all scans of “a”, and no others, have the same modality" in few
    many = notes(make(rows(8), modality={"a": "CT", "b": "MR"}), learner)
    assert "told apart by modality alone, for 16 of 16 patients left out in turn" in many
    assert "have the same modality" not in many
    assert "by modality" not in notes(make(rows(8)), learner)


def test_guessing(make: Any, learner: Any) -> None:
    unequal = [("a", f"P{i}", 10) for i in range(9)] + [("b", f"Q{i}", 20) for i in range(2)]
    text = notes(make(unequal), learner)
    assert "Not shown to be better than guessing: always answering “a” would be right for 9 of 11" in text
    assert "The classes are unequal: 9 patients of “a”, 2 of “b”" in text
    assert "guessing" not in notes(make(rows(12)), learner)


def test_patient_of_two_labels_and_uneven_scans(make: Any, learner: Any) -> None:
    mixed = [*rows(5), ("a", "PM", 10), ("b", "PM", 20), *[("a", "PBig", 10) for _ in range(12)]]
    text = notes(make(mixed), learner)
    assert "1 patient has scans of more than one label and counts as right only" in text
    two = notes(make([*mixed, ("a", "PN", 10), ("b", "PN", 20)]), learner)
    assert "2 patients have scans of more than one label and each counts as right only" in two
    assert "one patient has 12 of 24" in text


def test_declined_scans_are_counted(make: Any, learner: Any) -> None:
    text = notes(make([*rows(5), ("a", "PX", 16)]), learner)
    assert "declined to answer 1 of 11 scans" in text
    assert "Of the 10 it answered, 10 were right." in text


def test_difference_to_baselines_may_be_chance(make: Any, new_learner: Any) -> None:
    class Shifted(new_learner):  # type: ignore[misc]
        """Calls a value below 17.5 "a"; the middle of the class means lies below 16."""

        def adapt(self, support: Any, **kwargs: Any) -> Any:
            model = super().adapt(support)
            return type(model)(model.classes, (9.0, 26.0), model.members)

    task = make([*rows(5)[:-1], ("b", "PX", 17)])
    text = notes(task, new_learner(), baselines=[Shifted(name="shifted")])
    assert "More patients right than the best simple method (10 of 10 against 9)" in text
    assert "can be chance" in text


def test_long_hostile_labels_stay_short(make: Any, learner: Any) -> None:
    label = "x" * 500
    task = make([("a", "P1", 1), ("a", "P2", 1), (label, "P3", 9)])
    assert max(map(len, evaluate(learner, task)[1].notes)) < 500
