"""`Task`: named classes with labelled scans, checked once so that later rooms need not ask again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from medmeta.errors import TaskError
from medmeta.scans.scan import LabelledScan, Scan


@dataclass(frozen=True)
class Task:
    """Named classes with labelled scans.

    Attributes:
        name: what the person calls the task.
        classes: label names in a fixed order; every class has at least one scan.
        scans: the scans, in a fixed order.
        labels: one label a scan, each in ``classes``.
        descriptions: optional plain-text description of a class, by label.

    Raises:
        TaskError: fewer than two classes, an unknown label, or the same pixels twice.
    """

    name: str
    classes: tuple[str, ...]
    scans: tuple[Scan, ...]
    labels: tuple[str, ...]
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.scans) != len(self.labels):
            raise TaskError(f"{len(self.scans)} scans but {len(self.labels)} labels were given")
        if len(set(self.classes)) < 2:
            raise TaskError(
                f"a task needs scans of at least 2 classes, found {len(set(self.classes))}; "
                "label scans of a second class"
            )
        missing = [name for name in self.classes if name not in set(self.labels)]
        if missing:
            raise TaskError(f"no scan is labelled {', '.join(missing)}; label one or drop the class")
        unknown = sorted(set(self.labels) - set(self.classes))
        if unknown:
            raise TaskError(f"labels outside the task's classes: {', '.join(unknown)}")
        _refuse_repeats(self.scans, self.labels)

    @property
    def groups(self) -> tuple[str, ...]:
        """Group of each scan, in the order of ``scans``."""
        return tuple(scan.group for scan in self.scans)

    @property
    def targets(self) -> tuple[int, ...]:
        """Index into ``classes`` of each scan's label."""
        index = {name: position for position, name in enumerate(self.classes)}
        return tuple(index[label] for label in self.labels)

    def groups_per_class(self) -> dict[str, int]:
        """Number of distinct groups (patients) in each class."""
        seen: dict[str, set[str]] = defaultdict(set)
        for scan, label in zip(self.scans, self.labels, strict=True):
            seen[label].add(scan.group)
        return {name: len(seen[name]) for name in self.classes}

    def scans_per_class(self) -> dict[str, int]:
        counts = Counter(self.labels)
        return {name: counts[name] for name in self.classes}

    def subset(self, positions: Sequence[int]) -> Task:
        """The task cut to some of its scans; the order of ``classes`` stays, absent classes go."""
        labels = tuple(self.labels[i] for i in positions)
        present = set(labels)
        return Task(
            self.name,
            tuple(name for name in self.classes if name in present),
            tuple(self.scans[i] for i in positions),
            labels,
            {name: text for name, text in self.descriptions.items() if name in present},
        )


def make_task(
    items: Iterable[LabelledScan], name: str = "task", descriptions: Mapping[str, str] | None = None
) -> Task:
    """Build a task from labelled scans; classes are the sorted label names.

    Exact copies under one label (the same pixels in the same group) are kept once.

    Raises:
        TaskError: a scan has no label, or the same pixels carry two labels or two patients.
    """
    kept: dict[str, LabelledScan] = {}
    unlabelled = []
    for item in items:
        if item.label is None:
            unlabelled.append(item.scan.file)
            continue
        first = kept.setdefault(item.scan.id, item)
        if first is not item and first.label != item.label:
            _refuse_repeats((first.scan, item.scan), (str(first.label), item.label))
    if unlabelled:
        raise TaskError(
            f"{len(unlabelled)} scans have no label, the first is {unlabelled[0]}; put the files into one "
            "folder a class, or add a labels.csv with the columns file,label,group"
        )
    labels = tuple(str(item.label) for item in kept.values())
    return Task(
        name,
        tuple(sorted(set(labels))),
        tuple(item.scan for item in kept.values()),
        labels,
        dict(descriptions or {}),
    )


def check_disjoint(support: Task, query: Task) -> None:
    """Hold the rule that no patient and no pixels stand in both support and query.

    Raises:
        TaskError: names the files that do.
    """
    pixels = {scan.id: scan.file for scan in support.scans}
    for scan in query.scans:
        if scan.id in pixels:
            raise TaskError(
                f"the same pixels are in the support ({pixels[scan.id]}) and in the query ({scan.file}); "
                "remove one of the two files"
            )
    patients = {scan.group: scan.file for scan in support.scans}
    for scan in query.scans:
        if scan.group in patients:
            namesakes = "; folders of one name count as one patient, so rename one if they are of two people"
            raise TaskError(
                f"one patient is in the support ({patients[scan.group]}) and in the query ({scan.file}); "
                "a patient must be on one side only, so move the patient's scans together"
                + (namesakes if scan.group_source == "folder" else "")
            )
    unknown = sorted(set(query.classes) - set(support.classes))
    if unknown:
        raise TaskError(f"the query has classes the support lacks: {', '.join(unknown)}")


def _refuse_repeats(scans: Sequence[Scan], labels: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for position, scan in enumerate(scans):
        first = seen.setdefault(scan.id, position)
        if first == position:
            continue
        one, two = scans[first], scan
        if labels[first] != labels[position]:
            raise TaskError(
                f"the same pixels carry two labels: {one.file} ({labels[first]}) and {two.file} "
                f"({labels[position]}); keep the right one"
            )
        raise TaskError(f"the same pixels are there twice: {one.file} and {two.file}; remove one")
