"""The table of claims as text and as Markdown."""

from __future__ import annotations

from typing import Any

from medmeta.reports.claims_table import as_markdown, row_as_text

ROW: dict[str, Any] = {
    "claim": "lung",
    "text": "lung | subtypes",
    "target": "91.3 %",
    "reached": "92.0 %",
    "met": True,
    "interval": [91.04, 92.96],
    "n": 600,
    "of": "episodes",
    "how": "5 shots",
}
MISSING = {**ROW, "reached": "not measured", "met": None, "interval": None, "n": 0, "of": "", "how": "why"}


def test_a_row_in_words() -> None:
    text = row_as_text(ROW)
    assert "reached  92.0 % (95 % interval 91.0 to 93.0; n = 600 episodes)" in text
    assert "met      yes" in text
    assert "reached  not measured\n" in row_as_text(MISSING)
    assert "n = 600 episodes" in row_as_text({**ROW, "interval": None})
    assert "met      no" in row_as_text({**ROW, "met": False})


def test_markdown_escapes_and_says_what_is_quick() -> None:
    table = as_markdown({"rows": [ROW, MISSING], "settings": {"quick": True, "seed": 7}})
    lines = table.splitlines()
    assert lines[2].startswith("| lung \\| subtypes | 91.3 % | 92.0 % (95 % interval")
    assert lines[3].endswith("| not measured | not measured | why |")
    assert "quick" in table
    assert "seed 7" in table
    assert "full sizes" in as_markdown({"rows": [], "settings": {"quick": False, "seed": 7}})
