"""Further figures, disputed labels and next steps say what the evaluation says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from helpers import read_pdf

from medmeta.evaluation.further import MINIMA, further_figures, reliability_points
from medmeta.evaluation.result import Evaluation, Figure, Interval, Leak, Suspect
from medmeta.reports.evidence import disputed, figure_rows, next_steps
from medmeta.reports.html import html_report
from medmeta.reports.pdf import pdf_report

SUSPECT = Suspect("<b>IM1</b>", "0-1", "P1", "normal", "other <i>", 0.87)
LEAK = Leak("scanner model", "technical", 18, 20, 10, 0.001)


def complete(build: Callable[..., Evaluation], patients: int = 30) -> Evaluation:
    plain = build(classes=("normal", "other"), patients=patients)
    return replace(
        plain,
        further=further_figures(plain.cases, plain.classes, seed=0),
        reliability=reliability_points(plain.cases, plain.classes),
        suspects=(SUSPECT,),
        leaks=(LEAK,),
    )


def test_every_figure_has_its_words(build_evaluation: Callable[..., Evaluation]) -> None:
    rows = figure_rows(complete(build_evaluation))
    assert all(row.plain and not row.plain.startswith("Not given") for row in rows)
    assert {name for name in MINIMA if not any(row.name.startswith(name) for row in rows)} == set()
    kappa = Figure("Cohen's kappa", "", 0.666, Interval(-0.1, 0.9), 30)
    share = Figure("PPV where 10 in 100 have it", "a", 0.5, Interval(0.2, 0.8), 30)
    missing = Figure("MCC", "", None, None, 6, "needs 20 patients, found 6: too few")
    shown = figure_rows(replace(complete(build_evaluation), further=(kappa, share, missing)))
    assert (shown[0].value, shown[0].interval) == ("0.67", "−0.10 to 0.90")
    assert (shown[1].value, shown[1].interval) == ("50\u00a0%", "20 to 80\u00a0%")
    assert (shown[2].value, shown[2].plain) == ("–", "Not given: needs 20 patients, found 6: too few.")


def test_next_steps_come_in_order_and_always_end_with_new_patients(
    build_evaluation: Callable[..., Evaluation],
) -> None:
    steps = next_steps(complete(build_evaluation, patients=5))
    assert "possible short cut (scanner model)" in steps[0]
    assert "<b>IM1</b>" in steps[1]
    assert "Add patients, of" in steps[2]
    assert "new patients" in steps[-1]
    clean = replace(complete(build_evaluation), suspects=(), leaks=())
    assert next_steps(clean) == steps[-1:]
    # A label that is merely not confirmed is shown, but nothing has to be done about it.
    near = replace(clean, suspects=(replace(SUSPECT, doubt=-0.1, evidence=-2.0),))
    assert next_steps(near) == steps[-1:]
    assert "would fit nearly as well. The model adapted without this patient does not" in disputed(
        near.suspects[0]
    )
    assert "would fit better" in disputed(replace(SUSPECT, evidence=0.5))


def test_html_shows_them_escaped_and_in_the_order_of_the_questions(
    build_evaluation: Callable[..., Evaluation],
) -> None:
    evaluation = complete(build_evaluation)
    page = html_report(evaluation)
    places = [page.index(f'class="question">{words}') for words in
              ("Is it good?", "For whom not?", "Why?", "What now?")]  # fmt: skip
    assert places == sorted(places)
    assert "<b>IM1" not in page
    assert "&lt;b&gt;IM1" in page
    for row in figure_rows(evaluation):
        assert row.value in page
        assert row.interval in page
    assert "Is it as often right as it is sure?" in page
    old = html_report(replace(evaluation, further=(), reliability=(), suspects=(), leaks=()))
    assert 'id="further"' not in old
    assert 'id="suspects"' not in old


def test_pdf_shows_them(build_evaluation: Callable[..., Evaluation]) -> None:
    evaluation = complete(build_evaluation, patients=8)
    text = read_pdf(pdf_report(evaluation))
    for words in ("More figures", "Labels worth a second look", "What now?", "scanner model"):
        assert words in text
    assert disputed(SUSPECT).startswith("Labelled “normal”")
    assert "by a lead of 87 points" in disputed(SUSPECT)
