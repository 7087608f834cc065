"""Sets cover as promised on simulated patients, and are refused where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from medmeta.evaluation.conformal import conformal_rule, patients_needed
from medmeta.evaluation.result import Case

CLASSES = ("a", "b", "c")


def simulated(random: np.random.Generator, patients: int, scans: int = 1, hard: int = 0) -> list[Case]:
    """Patients whose scans are alike; probabilities that are far too sure, and the class ``hard`` often wrong."""
    cases = []
    for patient in range(patients):
        target = int(random.integers(3)) if patients % 3 else patient % 3
        shared = random.normal(0, 1.2, 3)
        for scan in range(scans):
            scores = shared + random.normal(0, 0.6, 3)
            scores[target] += 0.3 if target == hard else 2.0
            chances = np.exp(3 * scores)
            chances /= chances.sum()
            name = f"{patient}-{scan}"
            label = CLASSES[target]
            said = CLASSES[int(chances.argmax())]
            cases.append(Case(name, name, f"p{patient}", label, said, tuple(map(float, chances)), False, 0.0))
    return cases


def coverage(patients: int, scans: int, label: str | None = None, draws: int = 400) -> float:
    """Share of new scans, one a patient, whose set holds their label."""
    random = np.random.default_rng(0)
    hits: list[bool] = []
    for _ in range(draws):
        rule = conformal_rule(simulated(random, patients, scans), CLASSES)
        assert rule is not None
        for case in simulated(random, 30):
            if label in (None, case.label):
                hits.append(case.label in rule.labels(case.probabilities, CLASSES))
    return float(np.mean(hits))


@pytest.mark.parametrize("patients", [10, 19, 25])
def test_new_patients_are_covered_at_the_promised_rate(patients: int) -> None:
    # Vovk's bound: at least the level, and at most 1 / (n + 1) above it.
    found = coverage(patients, 1)
    assert 0.885 <= found <= 0.9 + 1 / (patients + 1) + 0.015


def test_several_scans_a_patient_make_it_careful_and_never_bold() -> None:
    assert coverage(19, 5) >= 0.9


def test_with_nine_patients_of_each_class_every_class_is_covered() -> None:
    rule = conformal_rule(simulated(np.random.default_rng(0), 30), CLASSES)
    assert rule is not None
    assert rule.by_class
    assert rule.patients == {"a": 10, "b": 10, "c": 10}
    for label in CLASSES:
        assert coverage(30, 1, label) >= 0.885
    # Together, as with fewer patients, the hard class would pay for the easy ones.
    assert coverage(25, 1, "a") < 0.85


def test_the_rule_by_hand() -> None:
    chances = [0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.3]
    cases = [Case(str(i), str(i), f"p{i}", "a", "a", (p, 1 - p), False, 0.0) for i, p in enumerate(chances)]
    rule = conformal_rule(cases, ("a", "b"))
    assert rule is not None
    assert not rule.by_class
    assert rule.least == pytest.approx({"a": 0.3, "b": 0.3})  # of nine the ninth, the least sure
    assert rule.labels((0.6, 0.4), ("a", "b")) == ("a", "b")
    assert rule.labels((0.2, 0.8), ("a", "b")) == ("b",)
    again = conformal_rule([*cases, Case("x", "x", "p0", "a", "b", (0.1, 0.9), False, 0.0)], ("a", "b"))
    assert again is not None
    assert again.least["a"] == pytest.approx(0.1)  # a patient counts by its worst scan


def test_fewer_than_nine_patients_are_refused() -> None:
    assert patients_needed() == 9
    assert patients_needed(0.95) == 19
    cases = simulated(np.random.default_rng(0), 8, scans=5)
    assert conformal_rule(cases, CLASSES) is None
