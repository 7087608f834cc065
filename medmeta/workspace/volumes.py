"""Entries as a person sees them: one row a file or a series, and which of its files answer for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medmeta.scans.series import Choice, Stack, answering, stack_up
from medmeta.workspace.records import Entry


@dataclass(frozen=True)
class Volume:
    """The slices of a series in their order; a file that is no slice is a volume of one.

    Attributes:
        entries: the files, in the order of the slices.
        stack: their places and what is to be said of their order; positions in it are those of all entries.
        used: the files that are learned from, tested on or read; ``why`` says how they were chosen.
    """

    entries: tuple[Entry, ...]
    stack: Stack
    used: tuple[Entry, ...]
    why: str

    @property
    def id(self) -> int:
        """Of the first file that came; the same however the slices are sorted."""
        return min(entry.id for entry in self.entries)

    @property
    def ids(self) -> list[int]:
        return [entry.id for entry in self.entries]

    @property
    def key(self) -> Entry:
        """The file that stands for the row: the first one used, else the central one."""
        return self.used[0] if self.used else self.entries[(len(self.entries) - 1) // 2]

    @property
    def label(self) -> str | None:
        """The one label of its files, several joined by a slash, None without any."""
        return " / ".join(sorted({entry.label for entry in self.entries if entry.label is not None})) or None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the order of the slices, then what the files themselves warn of."""
        return (*self.stack.notes, *dict.fromkeys(text for entry in self.entries for text in entry.warnings))

    @property
    def is_series(self) -> bool:
        return len(self.entries) > 1


def volumes(entries: Sequence[Entry]) -> list[Volume]:
    """All rows of a task, of every role, in the order in which they came."""
    made = []
    for role in dict.fromkeys(entry.role for entry in entries):
        own = [entry for entry in entries if entry.role == role]
        labels, marked = [entry.label for entry in own], [entry.marked for entry in own]
        for stack in stack_up(own):
            choice: Choice = answering(stack, labels, marked)
            made.append(
                Volume(
                    tuple(own[i] for i in stack.order),
                    stack,
                    tuple(own[i] for i in choice.positions),
                    choice.why,
                )
            )
    return sorted(made, key=lambda volume: volume.id)


def used(entries: Sequence[Entry]) -> list[Entry]:
    """The entries that are learned from, tested on or read; the other slices of their volumes are only shown."""
    chosen = {entry.id for volume in volumes(entries) for entry in volume.used}
    return [entry for entry in entries if entry.id in chosen]
