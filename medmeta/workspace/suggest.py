"""Which scan to label next: those without a label, the ones the adapted model is least sure of first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medmeta.progress import Progress, part
from medmeta.workspace.jobs import Work
from medmeta.workspace.reading import Reading, read_scans
from medmeta.workspace.records import WorkspaceError
from medmeta.workspace.store import Store
from medmeta.workspace.volumes import Volume, used
from medmeta.workspace.work import LoadExtractor


@dataclass(frozen=True)
class Suggestion:
    """A scan worth labelling, and between which two classes the model is torn.

    ``first`` and ``second`` are (label, probability) of the two most probable classes.
    """

    volume: Volume
    first: tuple[str, float]
    second: tuple[str, float]

    @property
    def margin(self) -> float:
        """Probability of the first class minus that of the second."""
        return self.first[1] - self.second[1]


def rank_work(store: Store, task_id: str, run: Path, extractor: LoadExtractor) -> Work:
    """Read the task's unlabelled scans to learn from with the model a run has saved; nothing is learned from them."""

    def work(out: Path, progress: Progress) -> None:
        progress(0.0, "Getting the model ready")
        from medmeta.learners.registry import load_task_model

        model = load_task_model(run, extractor())
        entries = [
            entry
            for entry in used(store.entries(task_id, "support"))
            if entry.label is None and not entry.held
        ]
        if not entries:
            raise WorkspaceError("every scan that may be read has a label; there is none to suggest")
        read_scans(model, [store.scan(entry) for entry in entries], out, progress=part(progress, 0.1, 1.0))

    return work


def suggestions(volumes: Sequence[Volume], readings: Sequence[Reading]) -> list[Suggestion]:
    """The unlabelled scans that were read, smallest margin between the two most probable classes first.

    Margin sampling (Scheffer, Decomain and Wrobel, 2001; Settles, 2009, section 3.1). Every patient comes once before
    any comes twice: scans of one patient teach much the same.
    """
    said = {reading.scan_id: reading for reading in readings}
    made = []
    for volume in volumes:
        reading = said.get(volume.key.scan_id)
        if reading is None or volume.label is not None or len(reading.classes) < 2:
            continue
        order = sorted(range(len(reading.classes)), key=lambda i: -reading.probabilities[i])[:2]
        first, second = ((reading.classes[i], reading.probabilities[i]) for i in order)
        made.append(Suggestion(volume, first, second))
    made.sort(key=lambda suggestion: (suggestion.margin, suggestion.volume.id))
    turns: dict[str, int] = {}
    turn = []
    for suggestion in made:
        group = suggestion.volume.key.group
        turn.append(turns.setdefault(group, 0))
        turns[group] += 1
    return [made[i] for i in sorted(range(len(made)), key=lambda i: (turn[i], i))]
