"""Can this task be adapted, and what would make the answer more trustworthy? In words, before any work."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from medmeta.workspace.records import Entry
from medmeta.workspace.volumes import used

#: Patients a class should have before its figures say much.
GOOD_PATIENTS = 5


@dataclass(frozen=True)
class Readiness:
    """``problems`` stop the adaptation; ``advice`` does not. Sentences for the person."""

    problems: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def ready(self) -> bool:
        return not self.problems


def check(entries: Sequence[Entry]) -> Readiness:
    """Look over the scans of a task without opening any pixels; of a volume, the slices that answer for it."""
    entries = used(entries)
    held = [entry for entry in entries if entry.held and entry.role != "predict"]
    support = [entry for entry in entries if entry.role == "support" and not entry.held]
    query = [entry for entry in entries if entry.role == "query" and not entry.held]
    if held and not support:
        return Readiness((_look(held),), ())
    if not support:
        return Readiness(("There are no scans to learn from yet. Add some on the Scans page.",), ())
    problems = _structure(support, query)
    if problems:
        # With the scans that wait, the classes may be complete: say first what is nearest.
        return Readiness((*([_look(held)] if held else []), *problems), ())
    return Readiness((), (*([_look(held)] if held else []), *_advice(support, query)))


def patients_per_class(entries: Sequence[Entry]) -> dict[str, int]:
    """Distinct patients of each label, in the order of the labels."""
    seen: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.label is not None:
            seen[entry.label].add(entry.group)
    return {label: len(seen[label]) for label in sorted(seen)}


def _look(held: Sequence[Entry]) -> str:
    return (
        f"{_count(len(held), 'scan')} may show text burned into the picture (the first is {held[0].file}) and "
        f"{'is' if len(held) == 1 else 'are'} left out until you have looked at {'it' if len(held) == 1 else 'them'} "
        "on the Scans page."
    )


def _structure(support: Sequence[Entry], query: Sequence[Entry]) -> list[str]:
    problems = []
    classes = patients_per_class(support)
    if not classes:
        problems.append("None of the scans has a label yet. Label scans of at least two classes.")
    elif len(classes) == 1:
        problems.append(
            f"All labelled scans are “{next(iter(classes))}”. Label scans of at least one other class, "
            "so that there is something to tell apart."
        )
    shared = {entry.group for entry in support} & {e.group for e in query if e.label is not None}
    if shared:
        first = next(entry for entry in query if entry.group in shared)
        stand = "stands" if len(shared) == 1 else "stand"
        namesakes = (
            " Folders of one name count as one patient; if they are two people, name each in the table."
        )
        problems.append(
            f"{_count(len(shared), 'patient')} {stand} among both the scans to learn from and the test scans (one file "
            f"is {first.file}). Move all scans of a patient to one side, or the test would flatter the model."
            + (namesakes if first.group_source == "folder" else "")
        )
    strange = sorted({str(entry.label) for entry in query if entry.label is not None} - set(classes))
    if strange and classes:
        problems.append(
            f"The test scans have {_count(len(strange), 'label')} the scans to learn from lack: "
            f"{', '.join(strange)}. Add scans with this label to learn from, or relabel the test scans."
        )
    tested = {entry.label for entry in query if entry.label is not None}
    if len(tested) == 1:
        problems.append(
            f"All labelled test scans are “{tested.pop()}”. Add test scans of another class, or remove them to "
            "test on the scans to learn from."
        )
    if len(classes) >= 2 and not any(e.label is not None for e in query) and max(classes.values()) < 2:
        problems.append(
            "Every class has a single patient, so nothing is left to test on when that patient is set aside. "
            "Add a second patient to at least one class, or add separate test scans."
        )
    return problems


def _advice(support: Sequence[Entry], query: Sequence[Entry]) -> list[str]:
    advice = []
    classes = patients_per_class(support)
    thin = [f"{label} ({count})" for label, count in classes.items() if count < GOOD_PATIENTS]
    if thin:
        advice.append(
            f"Fewer than {GOOD_PATIENTS} patients in: {', '.join(thin)}. It works, but the figures will be "
            "uncertain."
        )
    unlabelled = sum(entry.label is None for entry in (*support, *query))
    if unlabelled:
        advice.append(f"{_count(unlabelled, 'scan')} without a label will be left out.")
    scans = Counter(entry.label for entry in support if entry.label is not None)
    if min(scans.values()) * 5 < max(scans.values()):
        advice.append("One class has more than five times the scans of another. A more even mix is better.")
    unknown = sum(entry.group_source == "file" and entry.label is not None for entry in (*support, *query))
    if unknown:
        advice.append(
            f"For {_count(unknown, 'scan')} the patient is not known, so each file counts as its own "
            "patient. If one patient has several files, name the patient in the table; otherwise the result "
            "will look better than it is."
        )
    kinds = sorted({entry.modality for entry in support if entry.modality})
    if len(kinds) > 1:
        advice.append(
            f"The scans come from different modalities ({', '.join(kinds)}). If the classes differ in this, "
            "the model may learn the machine and not the disease."
        )
    return advice


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
