"""Hostile text against what Streamlit would make of it."""

from __future__ import annotations

import re

import pytest

from medmeta.ui.downloads import file_stem
from medmeta.ui.text import ago, count, duration, md

HOSTILE = (
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    ":red[text] :material/home: :smile:",
    "$\\frac{1}{2}$",
    "# heading",
    "**bold** _it_ `code` ~~gone~~",
    "| a | b |",
    "&lt;b&gt;",
    "line\n\n- item",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_every_special_character_is_escaped(text):
    escaped = md(text)
    left = re.sub(r"\\(_|[^\w\s])", "", escaped)
    assert not re.search(r"[\\`*_{}\[\]()#!|~$:<>&]", left)
    assert "\n" not in escaped
    # Taking the escapes away gives the text back, lines joined.
    assert re.sub(r"\\(_|[^\w\s])", r"\1", escaped).replace("\u2060", "") == " ".join(text.split())


def test_a_number_stays_beside_its_unit():
    assert md("52\u00a0% and\n 94\u00a0%") == "52\u00a0% and 94\u00a0%"


def test_addresses_do_not_become_links():
    for text in ("https://evil.example", "www.evil.example", "me@evil.example"):
        assert "\u2060" in md(text)


def test_numbers_in_words():
    assert (count(1, "scan"), count(3, "scan"), count(2, "class", "classes")) == (
        "1 scan",
        "3 scans",
        "2 classes",
    )
    assert (duration(4.23), duration(65)) == ("4.2 s", "1 min 05 s")
    assert [ago(0, now) for now in (5, 60, 7200, 2 * 86400)] == [
        "just now",
        "1 minute ago",
        "2 hours ago",
        "2 days ago",
    ]


def test_download_names_hold_nothing_special():
    assert file_stem("../../Über <b>x</b>") == "ber-b-x-b"
    assert file_stem("💥") == "medmeta"
