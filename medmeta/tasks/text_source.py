"""A table of labelled texts as `LabelledSet`s, one a domain, for the same builder and trainer as scans."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medmeta.errors import TaskError
from medmeta.scans.labels import clean_label
from medmeta.scans.limits import MIB, Limits, in_words
from medmeta.scans.refusal import RefusedError
from medmeta.tasks.domains import domain_of
from medmeta.tasks.labelled_set import LabelledSet

MOST_BYTES = 256 * MIB


@dataclass(frozen=True)
class _Row:
    line: int
    text: str
    label: str
    group: str


def read_text_csv(path: Path, *, domain: str | None = None) -> list[LabelledSet]:
    """Read a CSV with the columns text,label and optionally domain,group.

    UTF-8 (a byte order mark is fine), separated by commas, semicolons or tabs.

    Args:
        path: the table; its stem names the set, or ``stem/domain`` where the rows have several domains.
        domain: of rows that name none; guessed from the file's name where None.

    Returns:
        one set a domain, in the order of their first rows. A row without a group is its own, equal texts count once.

    Raises:
        TaskError: names the line: a column or cell is missing, or one text has two labels or two groups.
    """
    default = domain or domain_of(path.stem)
    by_domain: dict[str, dict[str, _Row]] = defaultdict(dict)
    for kind, row in _rows(path, default):
        first = by_domain[kind].setdefault(row.text, row)
        if (first.label, first.group) != (row.label, row.group):
            what = "labels" if first.label != row.label else "groups"
            raise TaskError(
                f"{path.name}: lines {first.line} and {row.line} hold the same text under two {what}; keep one"
            )
    if not by_domain:
        raise TaskError(f"{path.name}: holds no row below its header; add texts with their labels")
    several = len(by_domain) > 1
    return [
        _set(f"{path.stem}/{kind}" if several else path.stem, kind, list(rows.values()))
        for kind, rows in by_domain.items()
    ]


def _set(name: str, domain: str, rows: list[_Row]) -> LabelledSet:
    classes = tuple(sorted({row.label for row in rows}))
    index = {label: position for position, label in enumerate(classes)}
    return LabelledSet(
        name,
        domain,
        classes,
        np.array([index[row.label] for row in rows], dtype=np.int64),
        tuple(row.group for row in rows),
        tuple(row.text for row in rows),
    )


def _rows(path: Path, default: str) -> list[tuple[str, _Row]]:
    if path.stat().st_size > MOST_BYTES:
        raise TaskError(f"{path.name}: is larger than {in_words(MOST_BYTES)}; split it")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise TaskError(f"{path.name}: is not UTF-8 text; save it as CSV UTF-8") from None
    separator = max(",;\t", key=text.split("\n", 1)[0].count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    found = []
    try:
        columns = [cell.strip().lower() for cell in next(lines, [])]
        absent = [name for name in ("text", "label") if name not in columns]
        if absent:
            raise TaskError(
                f"{path.name}: the first line must name the columns text,label (and, if you like, domain,group); "
                f"{' and '.join(absent)} not found. Scans with a labels.csv are opened by their folder"
            )
        for cells in lines:
            if any(cell.strip() for cell in cells):
                found.append(
                    _row(cells, columns, f"{path.name}: line {lines.line_num}", lines.line_num, default)
                )
    except csv.Error:
        raise TaskError(f"{path.name}: line {lines.line_num} is not proper CSV; check its quotes") from None
    return found


def _row(cells: list[str], columns: list[str], where: str, line: int, default: str) -> tuple[str, _Row]:
    if len(cells) != len(columns):
        raise TaskError(f"{where} has {len(cells)} cells where the header has {len(columns)}")
    cell = dict(zip(columns, cells, strict=True))
    text = cell["text"].strip()
    try:
        label, kind, group = (
            clean_label(cell.get(name, ""), Limits()) for name in ("label", "domain", "group")
        )
    except RefusedError as problem:
        raise TaskError(f"{where}: {problem}") from None
    if not text or label is None:
        raise TaskError(f"{where} has no {'label' if text else 'text'}; fill it in or take the line out")
    own = f"text-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return kind or default, _Row(line, text, label, group or own)
