"""The PDF: the right words in it, any script, any broken picture, no page too many."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers import pdf_text, read_pages, read_pdf

from medmeta.evaluation.cases import worst_mistakes
from medmeta.evaluation.result import Evaluation
from medmeta.reports import pdf_page
from medmeta.reports.pdf import pdf_report
from medmeta.reports.pdf_page import printable


@pytest.fixture
def no_wide_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without any font but the PDF's own."""
    monkeypatch.setattr(pdf_page, "wide_fonts", lambda text: ())


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", pdf))


def test_headline_and_notice_on_every_page(evaluation: Evaluation, png: bytes) -> None:
    pdf = pdf_report(evaluation, thumbnails={case.scan_id: png for case in evaluation.cases})
    assert pdf.startswith(b"%PDF-")
    text = read_pdf(pdf)
    assert f"{evaluation.patients.correct} of {evaluation.patients.n} patients right" in text
    assert pages(pdf) <= 14
    assert all("Research use only. Not a medical device" in page for page in read_pages(pdf))
    assert "A note with <i>markup</i>." in text
    assert pdf.count(b"/Subtype /Image") >= 1


def test_same_evaluation_same_file(evaluation: Evaluation) -> None:
    assert pdf_report(evaluation) == pdf_report(evaluation)


@pytest.mark.usefixtures("no_wide_fonts")
def test_other_scripts_are_shown_and_announced(evaluation: Evaluation) -> None:
    text = pdf_text(pdf_report(evaluation))
    assert "[U+6B63][U+5E38]" in text
    assert "the HTML report shows them" in text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Größe", "Größe"),
        ("Żółć", "Zólc"),
        ("“≥ 5” – ok…", '">= 5" - ok...'),
        ("正", "[U+6B63]"),
        ("a\x00b\nc", "a b c"),
        ("e\u0301", "é"),
        ("\U0001fac1", "[U+1FAC1]"),
    ],
)
def test_printable(given: str, shown: str) -> None:
    assert printable(given) == shown
    printable(given).encode("latin-1")


def test_broken_and_foreign_pictures_are_left_blank(evaluation: Evaluation) -> None:
    first, second = worst_mistakes(evaluation)[:2]
    pdf = pdf_report(
        evaluation, thumbnails={first.scan_id: b"\x89PNG\r\n\x1a\nbroken", second.scan_id: b"GIF89a"}
    )
    assert pdf.count(b"/Subtype /Image") == 0


def test_many_classes_and_endless_names(build_evaluation: Callable[..., Evaluation]) -> None:
    classes = tuple(f"class {i} " + "x" * (300 if i == 3 else 5) for i in range(14))
    pdf = pdf_report(build_evaluation(classes, patients=2))
    assert pages(pdf) <= 16


def test_perfect_and_bare(evaluation: Evaluation) -> None:
    cases = tuple(replace(case, predicted=case.label) for case in evaluation.cases)
    bare = replace(evaluation, cases=cases, comparisons=(), notes=(), auroc=None, provenance={})
    assert "No scan was wrong" in read_pdf(pdf_report(bare))
