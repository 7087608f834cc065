"""The fuzzer itself needs a library that is no dependency; without it the command says so."""

from __future__ import annotations

import sys

import pytest

from benchmarks import fuzz


def test_without_the_library_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    monkeypatch.setattr("sys.argv", ["fuzz"])
    with pytest.raises(SystemExit, match="pip install atheris"):
        fuzz.main()
