"""Labels and groups of files from a `labels.csv`."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medmeta.scans.archive import is_control, normal
from medmeta.scans.limits import Limits, in_words
from medmeta.scans.refusal import RefusedError


@dataclass(frozen=True)
class LabelRow:
    """What a labels.csv says of one file; an empty cell is None."""

    file: str
    label: str | None
    group: str | None


def clean_label(text: str, limits: Limits) -> str | None:
    """A label or group in NFC without outer blanks; None when nothing is left.

    Raises:
        RefusedError: control characters, or longer than the limit.
    """
    label = unicodedata.normalize("NFC", text).strip()
    if not label.isprintable() and any(is_control(letter) for letter in label):
        raise RefusedError("a label or group must not hold control characters")
    if len(label) > limits.label_length:
        raise RefusedError(
            f"a label or group may have {limits.label_length} characters, found {len(label)}; shorten it"
        )
    return label or None


def parse_labels(data: bytes, limits: Limits) -> tuple[LabelRow, ...]:
    """Read a labels.csv: a header with ``file``, ``label`` and optionally ``group``, then one row a file.

    UTF-8 (a byte order mark is fine), separated by commas, semicolons or tabs.

    Raises:
        RefusedError: names the line and what was expected there.
    """
    if len(data) > limits.labels_bytes:
        raise RefusedError(f"is larger than {in_words(limits.labels_bytes)}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RefusedError("is not UTF-8 text; save it as CSV UTF-8") from None
    start, _, rest = text.partition("\n")
    if start.strip().strip('"').lower() in ("sep=,", "sep=;", "sep=\t", "sep="):  # a line for Excel alone
        text = rest
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        columns = [cell.strip().lower() for cell in next(lines, [])]
        absent = [name for name in ("file", "label") if name not in columns]
        if absent:
            raise RefusedError(
                f"the first line must name the columns file,label,group (group may be left out); "
                f"{' and '.join(absent)} not found"
            )
        if twice := [name for name in ("file", "label", "group") if columns.count(name) > 1]:
            raise RefusedError(f"the first line names the column {twice[0]} more than once; keep one")
        rows: dict[str, LabelRow] = {}
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            row = _row(cells, columns, lines.line_num, limits)
            known = rows.setdefault(row.file, row)
            if known != row:
                raise RefusedError(
                    f"line {lines.line_num} names a file that an earlier line labels otherwise"
                )
    except csv.Error:
        raise RefusedError(f"line {lines.line_num} is not proper CSV; check its quotes") from None
    return tuple(rows.values())


def match_rows(
    rows: Sequence[LabelRow], folder: str, names: Sequence[str]
) -> tuple[Mapping[str, LabelRow], tuple[str, ...]]:
    """Files the rows speak of, and the rows' files that are not there.

    A row names a file relative to the folder its table lies in; where that finds nothing, the one file whose name
    ends with it, in the same case or else in any. Of a path with a drive (``C:\\data\\a\\1.png``) the end counts, with
    one folder at least where the file has any.

    Args:
        rows: of one table.
        folder: where the table lies, empty or ending in ``/``.
        names: all files of the upload.
    """
    present = set(names)
    endings: dict[str, list[str]] = {}
    for name in names:
        parts = name.casefold().split("/")
        for start in range(len(parts)):
            endings.setdefault("/".join(parts[start:]), []).append(name)
    found: dict[str, LabelRow] = {}
    absent = []
    for row in sorted(
        rows, key=lambda row: folder + row.file not in present
    ):  # a looser match never displaces one
        name = folder + row.file
        if name not in present:
            fitting = _fitting(row.file, endings)
            own = [each for each in fitting if each.casefold() == name.casefold()]
            exact = [each for each in fitting if each.endswith(row.file)]
            fitting = exact or own or fitting
            name = fitting[0] if len(fitting) == 1 else ""
        known = found.setdefault(name, row) if name else None
        if known is None or (known.label, known.group) != (row.label, row.group):
            absent.append(row.file)
    return found, tuple(absent)


def _fitting(file: str, endings: Mapping[str, list[str]]) -> list[str]:
    """Files that end as a row says, in any case."""
    parts = file.casefold().split("/")
    if not re.fullmatch("[a-z]:", parts[0]):
        return endings.get("/".join(parts), [])
    for start in range(1, len(parts)):
        if names := endings.get("/".join(parts[start:])):
            return names if start < len(parts) - 1 else [name for name in names if "/" not in name]
    return []


def _row(cells: list[str], columns: list[str], line: int, limits: Limits) -> LabelRow:
    if len(cells) != len(columns):
        raise RefusedError(f"line {line} has {len(cells)} cells where the header has {len(columns)}")
    row = dict(zip(columns, cells, strict=True))
    file = normal(row["file"].strip())
    if not file:
        raise RefusedError(f"line {line} names no file")
    try:
        return LabelRow(file, clean_label(row["label"], limits), clean_label(row.get("group", ""), limits))
    except RefusedError as problem:
        raise RefusedError(f"line {line}: {problem}") from None
