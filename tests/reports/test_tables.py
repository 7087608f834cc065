"""CSV tables: the evaluation's figures, and no cell a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from medmeta.evaluation.cases import sorted_by_worst
from medmeta.evaluation.result import Evaluation, Figure, Interval
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


def test_figures_table_lists_the_further_figures_and_why_one_is_missing(evaluation: Evaluation) -> None:
    label = evaluation.classes[1]
    further = (
        Figure("MCC", "", 0.25, Interval(-0.125, 0.5), 20),
        Figure("F1", label, None, None, 7, "needs 20 patients, found 7"),
    )
    plain = list(csv.DictReader(io.StringIO(figures_csv(evaluation))))
    rows = list(csv.DictReader(io.StringIO(figures_csv(replace(evaluation, further=further)))))
    assert len(rows) == len(plain) + 2
    (mcc,) = [row for row in rows if row["figure"] == "MCC"]
    assert (mcc["of"], mcc["value"], mcc["low"], mcc["high"]) == (evaluation.learner, "0.25", "-0.125", "0.5")
    assert (mcc["n"], mcc["why_not"]) == ("20", "")
    (f1,) = [row for row in rows if row["figure"] == "F1"]
    assert (f1["of"], f1["value"], f1["n"]) == (label, "", "7")
    assert f1["why_not"] == "needs 20 patients, found 7"
    assert all(row["notice"] == RESEARCH_USE_ONLY for row in rows)
