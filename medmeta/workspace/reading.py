"""Reading new scans with a task model, kept so that a refresh of the page finds the answer again."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medmeta.learners.base import TaskModel
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.progress import Progress, silent
from medmeta.reports.tables import guarded
from medmeta.scans.scan import Scan
from medmeta.workspace.records import WorkspaceError


@dataclass(frozen=True)
class Reading:
    """What a task model said about one scan.

    ``probabilities`` follow ``classes``; ``nearest`` are (scan_id, file, label, similarity) of the
    most alike scans the model has learned from; the rest is as in ``learners.base.Prediction``.
    """

    scan_id: str
    file: str
    classes: tuple[str, ...]
    label: str
    probabilities: tuple[float, ...]
    abstained: bool
    out_of_domain: float
    nearest: tuple[tuple[str, str, str, float], ...]

    @property
    def confidence(self) -> float:
        """Probability of ``label``."""
        return max(self.probabilities)


def read_scans(
    model: TaskModel, scans: Sequence[Scan], out: Path, *, progress: Progress = silent
) -> list[Reading]:
    """Predict ``scans`` and write ``readings.json`` into ``out``.

    Raises:
        CancelledError: ``progress`` asked to stop.
    """
    answer = model.predict(scans, progress=progress)
    readings = [
        Reading(
            scan_id=scan.id,
            file=scan.file,
            classes=answer.classes,
            label=answer.labels[i],
            probabilities=tuple(float(value) for value in answer.probabilities[i]),
            abstained=bool(answer.abstained[i]),
            out_of_domain=float(answer.out_of_domain[i]),
            nearest=tuple((n.scan_id, n.file, n.label, float(n.similarity)) for n in answer.neighbours[i]),
        )
        for i, scan in enumerate(scans)
    ]
    out.mkdir(parents=True, exist_ok=True)
    rows = [vars(reading) for reading in readings]
    (out / "readings.json").write_text(json.dumps(rows, indent=2), encoding="utf-8")
    return readings


def load_readings(out: Path) -> list[Reading]:
    """Read back what `read_scans` wrote.

    Raises:
        WorkspaceError: the folder holds no readable ``readings.json``.
    """
    try:
        rows = json.loads((out / "readings.json").read_text(encoding="utf-8"))
        return [
            Reading(
                scan_id=str(row["scan_id"]),
                file=str(row["file"]),
                classes=tuple(row["classes"]),
                label=str(row["label"]),
                probabilities=tuple(float(value) for value in row["probabilities"]),
                abstained=bool(row["abstained"]),
                out_of_domain=float(row["out_of_domain"]),
                nearest=tuple((str(i), str(f), str(lab), float(s)) for i, f, lab, s in row["nearest"]),
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError("the readings are missing or damaged; read the scans again") from error


def readings_csv(readings: Sequence[Reading], task: str) -> str:
    """One row a scan; cells a spreadsheet would take for a formula are made text."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    classes = readings[0].classes if readings else ()
    writer.writerow(
        [
            "task",
            "file",
            "label",
            "unsure",
            "times_usual_distance",
            *(guarded(f"p({c})") for c in classes),
            "note",
        ]
    )
    for reading in readings:
        writer.writerow(
            [
                guarded(task),
                guarded(reading.file),
                guarded(reading.label),
                "yes" if reading.abstained else "no",
                f"{reading.out_of_domain:.2f}",
                *(f"{share:.4f}" for share in reading.probabilities),
                RESEARCH_USE_ONLY,
            ]
        )
    return buffer.getvalue()
