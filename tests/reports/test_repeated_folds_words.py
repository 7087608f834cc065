"""The sentences and the figure say what the divisions gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers import read_pdf

from medmeta.evaluation.result import Evaluation, Interval, PatientRepeats, RepeatedFolds
from medmeta.reports.html import html_report
from medmeta.reports.pdf import pdf_report
from medmeta.reports.repeated_folds import repeats_figure, repeats_words

FOUND = RepeatedFolds(
    folds=5,
    right=(13, 15, 14, 14),
    share=14 / 18,
    interval=Interval(0.52, 0.94),
    balanced_accuracy=0.75,
    patients=(
        *[PatientRepeats(f"P{i}", "ab"[i % 2], 4) for i in range(12)],
        *[PatientRepeats(f"Q{i}", "a", 2) for i in range(4)],
        *[PatientRepeats(f"<b>R{i}", "b", 0) for i in range(2)],
    ),
)


def test_the_sentences() -> None:
    assert repeats_words(FOUND) == (
        "Divided 4 times into 5 groups, 13 to 15 of 18 patients were right, 78\u00a0% on average "
        "(95 % interval 52 to 94\u00a0%).",
        "Right every time: 12. Never right: 2 (<b>R0, <b>R1).",
        "Right or wrong, depending on whom the model had learned from: 4 (Q0, Q1, Q2, Q3).",
    )
    steady = replace(FOUND, right=(12,) * 4, patients=FOUND.patients[:12])
    assert len(repeats_words(steady)) == 2
    assert ", 12 of 12 patients were right" in repeats_words(steady)[0]
    many = replace(FOUND, patients=tuple(replace(item, right=1) for item in FOUND.patients))
    assert repeats_words(many)[2].endswith("18 (P0, P1, P2, P3, P4, P5 and 12 more).")


def test_every_patient_is_one_point_at_its_share() -> None:
    figure = repeats_figure(FOUND, ("a", "b"))
    points = sorted((x, y) for trace in figure.data for x, y in zip(trace.x, trace.y, strict=True))
    assert points == [(i + 1, pytest.approx(item.right / 4)) for i, item in enumerate(FOUND.patients)]
    assert [trace.name for trace in figure.data] == ["a", "b"]
    assert "&lt;b&gt;R0" in figure.data[1].hovertext[-2]


def test_both_reports_have_it_and_earlier_evaluations_do_not(
    build_evaluation: Callable[..., Evaluation],
) -> None:
    plain = build_evaluation(("a", "b"), patients=9)
    assert 'id="repeated"' not in html_report(plain)
    evaluation = replace(plain, repeated=FOUND)
    page = html_report(evaluation)
    assert 'id="repeated"' in page
    assert "&lt;b&gt;R0" in page
    assert "13 to 15 of 18 patients were right" in read_pdf(pdf_report(evaluation)).replace("\n", " ")
