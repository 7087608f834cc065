"""Tables of a few-shot run, for the terminal and for Markdown, from what `bench few-shot` writes as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A heading, the names of the columns, and rows of as many cells; the first ``words`` columns are words."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


def few_shot_tables(document: Mapping[str, Any]) -> tuple[Table, ...]:
    """For each number of shots the accuracies, the paired differences and their means over data sets.

    Args:
        document: what `bench few-shot --json` writes: ``settings``, ``results``, ``paired``, ``paired_all``.
    """
    found = []
    for shots in document["settings"]["shots"]:
        results, paired, overall = (
            [row for row in document[part] if row["shots"] == shots]
            for part in ("results", "paired", "paired_all")
        )
        found.append(_accuracies(document["settings"], shots, results))
        if paired:
            found.append(_differences(shots, paired))
        if overall:
            found.append(_overall(shots, overall))
    return tuple(found)


def as_text(document: Mapping[str, Any]) -> str:
    """Aligned columns for a terminal."""
    parts = []
    for table in few_shot_tables(document):
        lines = [table.header, *table.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
        aligned = [
            "  ".join(
                cell.ljust(width) if column < table.words else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        parts.append("\n".join([table.title, *aligned]))
    return "\n\n".join([*parts, _circumstances(document)]) + "\n"


def as_markdown(document: Mapping[str, Any]) -> str:
    """The same tables in GitHub's Markdown."""
    parts = []
    for table in few_shot_tables(document):
        marks = ["---" if column < table.words else "---:" for column in range(len(table.header))]
        lines = [_markdown_row(line) for line in (table.header, marks, *table.rows)]
        parts.append("\n".join([f"{_escaped(table.title)}\n", *lines]))
    return "\n\n".join([*parts, _escaped(_circumstances(document))]) + "\n"


def _accuracies(settings: Mapping[str, Any], shots: int, results: Sequence[Mapping[str, Any]]) -> Table:
    data = tuple(dict.fromkeys(row["data"] for row in results))
    cells = {(row["learner"], row["data"]): _accuracy(row, settings["episodes"]) for row in results}
    learners = dict.fromkeys(row["learner"] for row in results)
    ways = "all classes" if settings["ways"] == "all" else f"{settings['ways']} ways"
    return Table(
        f"{shots}-shot accuracy in %, {ways}, {settings['queries']} queries a class, {settings['episodes']} "
        "episodes: mean ± half of the 95 % interval over episodes",
        ("learner", *data),
        tuple((name, *(cells[name, each] for each in data)) for name in learners),
    )


def _accuracy(row: Mapping[str, Any], episodes: int) -> str:
    half = "" if row["ci95"] is None else f" ± {50 * (row['ci95'][1] - row['ci95'][0]):.1f}"
    fewer = "" if row["n_episodes"] == episodes else f" ({row['n_episodes']} episodes)"
    return f"{100 * row['accuracy_mean']:.1f}{half}{fewer}"


def _differences(shots: int, paired: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        f"{shots}-shot, {paired[0]['learner']} minus the other learner on the same episodes, in percentage points, "
        "with 95 % intervals",
        ("minus", "data", "difference", "over episodes", "over patients", "episodes"),
        tuple(
            (
                row["against"],
                row["data"],
                _points(row["difference"]),
                _interval(row["ci95"]),
                _interval(row["ci95_patients"]),
                str(row["n_episodes"]),
            )
            for row in paired
        ),
        words=2,
    )


def _overall(shots: int, overall: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        f"{shots}-shot, {overall[0]['learner']} minus the other learner, mean over the data sets in percentage "
        "points, with 95 % intervals over data sets",
        ("minus", "difference", "Student's t", "two-level bootstrap"),
        tuple(
            (
                row["against"],
                _points(row["difference"]),
                _interval(row["ci95_datasets"]),
                _interval(row["ci95_bootstrap"]),
            )
            for row in overall
        ),
    )


def _points(share: float) -> str:
    """A difference in percentage points, with its sign; no negative zero."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def _interval(limits: Sequence[float] | None) -> str:
    return "too few" if limits is None else f"{_points(limits[0])} to {_points(limits[1])}"


def _circumstances(document: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    return f"{document['machine']}; {versions}; seed {document['settings']['seed']}; {document['date']}"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
