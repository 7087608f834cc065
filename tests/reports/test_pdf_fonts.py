"""Fonts of the machine are used where the PDF's own lack a letter, and only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import read_pdf

from medmeta.evaluation.result import Evaluation
from medmeta.reports import pdf_fonts
from medmeta.reports.pdf import pdf_report
from medmeta.reports.pdf_fonts import shows, wide_fonts
from medmeta.reports.pdf_page import printable

DEJAVU = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
needs_dejavu = pytest.mark.skipif(not DEJAVU.exists(), reason="no DejaVu font on this machine")


def test_western_text_opens_no_font(tmp_path: Path) -> None:
    assert wide_fonts("Größe déjà 5 %", [(tmp_path / "none.ttf", tmp_path / "none.ttf")]) == ()


def test_a_missing_or_broken_font_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"\x00\x01\x00\x00 no font")
    assert wide_fonts("Ж", [(tmp_path / "none.ttf", broken), (broken, broken)]) == ()


@needs_dejavu
def test_greek_and_cyrillic_are_shown_and_shaped_scripts_stay_codes() -> None:
    fonts = wide_fonts("здоровый πνευμονία سليم")
    assert printable("здоровый πνευμονία Żółć", fonts) == "здоровый πνευμονία Żółć"
    # DejaVu has Arabic letters, but they would stand apart.
    assert ord("س") in fonts[0].characters
    assert not shows("س", fonts)
    assert printable("س", fonts) == "[U+0633]"


@needs_dejavu
def test_the_pdf_holds_the_letters_themselves(build_evaluation: Callable[..., Evaluation]) -> None:
    text = read_pdf(pdf_report(build_evaluation(("здоровый", "πνευμονία"), patients=3)))
    assert "здоровый" in text
    assert "πνευμονία" in text
    assert "no font of this PDF" not in text
    assert "no font of this PDF" in read_pdf(pdf_report(build_evaluation(("здоровый", "سليم"), patients=3)))


@needs_dejavu
def test_a_second_font_helps_where_the_first_does_not(
    build_evaluation: Callable[..., Evaluation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The serif stands for a font of another script: the first is said to lack Greek."""
    serif = DEJAVU.with_name("DejaVuSerif.ttf")
    if not serif.exists():
        pytest.skip("no second font on this machine")
    real = pdf_fonts._characters
    monkeypatch.setattr(
        pdf_fonts,
        "_characters",
        lambda path: real(path) - (frozenset(range(0x370, 0x400)) if path == DEJAVU else set()),
    )
    fonts = wide_fonts("здоровый πνευμονία", [(DEJAVU, DEJAVU), (serif, serif)])
    assert [font.regular for font in fonts] == [DEJAVU, serif]
