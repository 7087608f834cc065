"""CSV tables: the evaluation's figures, and no cell a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import pytest

from medmeta.evaluation.cases import sorted_by_worst
from medmeta.evaluation.result import Evaluation
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports.tables import cases_csv, figures_csv, guarded


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "  ="])
def test_formulas_are_guarded(start: str) -> None:
    assert guarded(f"{start}1+1").startswith("'")


@pytest.mark.parametrize("text", ["normal", "a=b", "", "5", "_x"])
def test_plain_text_is_left_alone(text: str) -> None:
    assert guarded(text) == text


def test_cases_table(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(cases_csv(evaluation))))
    ordered = sorted_by_worst(evaluation)
    assert len(rows) == len(ordered)
    for row, case in zip(rows, ordered, strict=True):
        assert row["file"] == f"'{case.file}"  # the fixture's names start with a minus
        assert row["correct"] == ("yes" if case.correct else "no")
        for label, p in zip(evaluation.classes, case.probabilities, strict=True):
            assert float(row[f"probability of {label}"]) == p
        assert row["notice"] == RESEARCH_USE_ONLY
    for row in csv.reader(io.StringIO(cases_csv(evaluation))):
        assert not any(cell[:1] in set("=+-@") for cell in row)


def test_worst_mistake_comes_first(evaluation: Evaluation) -> None:
    first, *_, last = sorted_by_worst(evaluation)
    assert not first.correct
    assert last.correct


def test_figures_table(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(figures_csv(evaluation))))
    head = rows[0]
    assert (head["figure"], head["count"], head["n"]) == (
        "patients right",
        str(evaluation.patients.correct),
        str(evaluation.patients.n),
    )
    assert float(head["low"]) == evaluation.patients.interval.low
    sensitivities = [float(row["value"]) for row in rows if row["figure"] == "sensitivity"]
    assert sensitivities == [item.sensitivity for item in evaluation.per_class]
    cells = [int(row["count"]) for row in rows if row["figure"].startswith("scans predicted as")]
    assert cells == [value for row in evaluation.confusion for value in row]
