"""CSV files a spreadsheet can open without running what an uploaded name says."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from medmeta.evaluation.cases import sorted_by_worst
from medmeta.evaluation.result import Evaluation, Interval
from medmeta.notice import RESEARCH_USE_ONLY

#: First characters that make a spreadsheet read a cell as a formula, full-width forms included.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Cell = str | int | float | bool | None


def guarded(text: str) -> str:
    """Text that no spreadsheet runs: an apostrophe before what would start a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


def cases_csv(evaluation: Evaluation) -> str:
    """One row a scan, the most confident mistake first."""
    header = ["file", "patient", "label", "predicted", "correct", "abstained"]
    header += [f"probability of {label}" for label in evaluation.classes]
    header += ["out_of_domain", "nearest_file", "nearest_label", "nearest_similarity", "notice"]
    rows: list[list[Cell]] = []
    for case in sorted_by_worst(evaluation):
        near = case.nearest[0] if case.nearest else None
        rows.append(
            [
                case.file,
                case.group,
                case.label,
                case.predicted,
                case.correct,
                case.abstained,
                *case.probabilities,
                case.out_of_domain,
                *((near[1], near[2], near[3]) if near else (None, None, None)),
                RESEARCH_USE_ONLY,
            ]
        )
    return _write(header, rows)


def figures_csv(evaluation: Evaluation) -> str:
    """One row a figure: what it is, of which class or learner, its value, 95 % interval and counts.

    The further figures follow, the patients behind each as its ``n``; ``why_not`` says why one has no value.
    """
    rows: list[list[Cell]] = []

    def add(
        figure: str,
        of: str,
        value: float | None,
        interval: Interval | None = None,
        k: int | None = None,
        n: int | None = None,
        why_not: str = "",
    ) -> None:
        low, high = (None, None) if interval is None else (interval.low, interval.high)
        rows.append([figure, of, value, low, high, k, n, why_not, RESEARCH_USE_ONLY])

    count = evaluation.patients
    add("patients right", evaluation.learner, count.rate, count.interval, count.correct, count.n)
    add("scans right", evaluation.learner, evaluation.accuracy, evaluation.interval, n=len(evaluation.cases))
    add("balanced accuracy", evaluation.learner, evaluation.balanced_accuracy)
    add("AUROC, mean one-vs-rest", evaluation.learner, evaluation.auroc)
    add("seconds to adapt", evaluation.learner, evaluation.seconds)
    for figures in evaluation.per_class:
        add(
            "sensitivity", figures.label, figures.sensitivity, figures.sensitivity_interval, n=figures.n_scans
        )
        add("specificity", figures.label, figures.specificity, figures.specificity_interval)
        add("AUROC", figures.label, figures.auroc)
    for comparison in evaluation.comparisons:
        theirs = comparison.patients
        add("patients right", comparison.learner, theirs.rate, theirs.interval, theirs.correct, theirs.n)
        add("scans right", comparison.learner, comparison.accuracy)
        add("balanced accuracy", comparison.learner, comparison.balanced_accuracy)
        add(
            "patients right, this model minus the other",
            comparison.learner,
            comparison.difference,
            comparison.difference_interval,
        )
    for figure in evaluation.further:
        add(
            figure.name,
            figure.of or evaluation.learner,
            figure.value,
            figure.interval,
            n=figure.n_groups,
            why_not=figure.why_not,
        )
    for label, row in zip(evaluation.classes, evaluation.confusion, strict=True):
        for predicted, scans in zip(evaluation.classes, row, strict=True):
            add("scans predicted as " + predicted, label, None, k=scans, n=sum(row))
    return _write(["figure", "of", "value", "low", "high", "count", "n", "why_not", "notice"], rows)


def _write(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([guarded(name) for name in header])
    for row in rows:
        writer.writerow([guarded(cell) if isinstance(cell, str) else _plain(cell) for cell in row])
    return out.getvalue()


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell
