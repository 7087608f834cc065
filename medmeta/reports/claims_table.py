"""The table of claims, for the terminal and for Markdown, from what `bench claims` writes as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANSWERS = {True: "yes", False: "no", None: "not measured"}


def row_as_text(row: Mapping[str, Any]) -> str:
    """One claim in a few lines."""
    lines = [
        f"{row['claim']}: {row['text']}",
        f"  target   {row['target']}",
        f"  reached  {row['reached']}{_measure_of(row)}",
        f"  met      {ANSWERS[row['met']]}",
        f"  how      {row['how']}",
    ]
    return "\n".join(lines) + "\n"


def as_markdown(document: Mapping[str, Any]) -> str:
    """The whole table in GitHub's Markdown, with what ran where below it."""
    lines = ["| claim | target | reached | met | measured how |", "| --- | --- | --- | --- | --- |"]
    for row in document["rows"]:
        cells = [
            row["text"],
            row["target"],
            row["reached"] + _measure_of(row),
            ANSWERS[row["met"]],
            row["how"],
        ]
        lines.append("| " + " | ".join(_escaped(cell) for cell in cells) + " |")
    settings = document["settings"]
    size = "quick: small sizes, the figures are a first look" if settings["quick"] else "full sizes"
    return "\n".join([*lines, "", f"{size}; seed {settings['seed']}", ""])


def _measure_of(row: Mapping[str, Any]) -> str:
    """The interval and the number behind a figure."""
    if row["met"] is None:
        return ""
    found = f"n = {row['n']} {row['of']}"
    if row["interval"] is not None:
        low, high = row["interval"]
        found = f"95 % interval {low:.1f} to {high:.1f}; {found}"
    return f" ({found})"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
