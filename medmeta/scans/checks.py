"""Checks of a whole set of scans before anything is learned from them: copies, mixtures, empty or tiny pictures.

Each finding is one plain sentence that names its scans, and says what can be done. Nothing here opens a file: it all
follows from what is known of each scan and from its small view (`medmeta.scans.likeness`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from medmeta.scans.display import thumbnail
from medmeta.scans.likeness import Pairs, Views, copies, is_empty, other_poses, shows_colour, view_of
from medmeta.scans.scan import LabelledScan

#: Pixels of the shorter side below which the model sees little.
SMALL_SIDE = 64
#: Files a sentence names before it counts the rest.
_NAMED = 3

#: ``error``: the result would be wrong; ``warning``: it may be; ``note``: allowed, and worth knowing.
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, eq=False)
class Looked:
    """What the checks know of one scan.

    Attributes:
        key: what the caller calls it.
        id: content hash of the pixels; equal ids are equal pixels.
        file: name, for people.
        label: None where it has none.
        group: patient.
        side: ``"support"``, ``"query"`` or another word; scans of different sides must not be copies.
        modality: DICOM Modality, or None.
        body_part: DICOM Body Part Examined, or None.
        colour: more than one channel.
        rows: of the frame, as ``columns``.
        view: `medmeta.scans.likeness.view_of`.
    """

    key: int
    id: str
    file: str
    label: str | None
    group: str
    side: str
    modality: str | None
    body_part: str | None
    colour: bool
    rows: int
    columns: int
    view: Views

    @cached_property
    def empty(self) -> bool:
        """The picture shows next to nothing."""
        return is_empty(self.view)


@dataclass(frozen=True)
class Finding:
    """One thing to know about a set of scans.

    Attributes:
        kind: short name of the check, stable, for programs.
        severity: see `Severity`.
        sentence: for the person; names the first scans.
        keys: all scans it is about.
        removable: scans that can be taken out to settle it, empty where that is no answer.
    """

    kind: str
    severity: Severity
    sentence: str
    keys: tuple[int, ...]
    removable: tuple[int, ...] = ()


def looked_at(items: Sequence[LabelledScan], side: str = "support") -> list[Looked]:
    """What the checks need of scans just read; keys are positions."""
    found = []
    for position, item in enumerate(items):
        scan, picture = item.scan, thumbnail(item.scan)
        part = scan.tags.get("BodyPartExamined")
        found.append(
            Looked(
                key=position,
                id=scan.id,
                file=scan.file,
                label=item.label,
                group=scan.group,
                side=side,
                modality=scan.modality,
                body_part=None if part is None else str(part),
                colour=shows_colour(picture),
                rows=scan.rows,
                columns=scan.columns,
                view=view_of(picture, scan.rows, scan.columns),
            )
        )
    return found


def check_scans(scans: Sequence[Looked], alike: Pairs | None = None) -> tuple[Finding, ...]:
    """All findings, errors first. Half a second is enough for 1,000 scans.

    Args:
        scans: all scans of the set.
        alike: `medmeta.scans.likeness.copies` of their views, which labels and patients do not change; looked for
            where None.
    """
    pairs = copies([scan.view for scan in scans]) if alike is None else alike
    return in_order([*_copies(scans, pairs), *(finding for check in _CHECKS for finding in check(scans))])


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes; otherwise as they came."""
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(findings, key=lambda finding: order[finding.severity]))


def _copies(scans: Sequence[Looked], pairs: Pairs) -> Iterator[Finding]:
    """Equal and nearly equal pictures, a finding for each cluster."""
    for cluster, equal in _clusters(scans, pairs):
        members = [scans[i] for i in cluster]
        keys, spare = tuple(each.key for each in members), tuple(each.key for each in members[1:])
        what = "hold the same pixels" if equal else "look like copies of one picture"
        names = names_of(members, all_of=True)
        labels = sorted({each.label for each in members if each.label is not None})
        sides = {each.side for each in members}
        patients = {each.group for each in members}
        if len(labels) > 1:
            yield Finding(
                "copy-two-labels",
                "error",
                f"{names} {what} under different labels ({', '.join(labels)}). Correct the label, or remove "
                "the copy that is wrong.",
                keys,
            )
        elif len(sides) > 1:
            yield Finding(
                "copy-both-sides",
                "error",
                f"{names} {what}, and stand among both the scans to learn from and the test scans. Remove one, or "
                "the test asks what the model has seen.",
                keys,
                tuple(each.key for each in members if each.side != "query"),
            )
        elif len(patients) > 1:
            yield Finding(
                "copy-two-patients",
                "warning",
                f"{names} {what} under different patients. If they are copies, remove all but one: a copy on each "
                "side of a test flatters the model.",
                keys,
                spare,
            )
        else:
            yield Finding(
                "copy", "warning", f"{names} {what}. A copy adds nothing; remove all but one.", keys, spare
            )


def _clusters(scans: Sequence[Looked], pairs: Pairs) -> Iterator[tuple[list[int], bool]]:
    """Positions of scans linked by being copies, and whether all are equal to the last bit.

    Slices of one patient under one label are alike by nature, and are told of only where the pixels are equal.
    """
    home = list(range(len(scans)))

    def root(i: int) -> int:
        while home[i] != i:
            home[i] = home[home[i]]
            i = home[i]
        return i

    first: dict[str, int] = {}
    for i, scan in enumerate(scans):
        home[root(i)] = root(first.setdefault(scan.id, i))
    for i, j, _ in pairs:
        one, two = scans[i], scans[j]
        if (one.group, one.label, one.side) != (two.group, two.label, two.side):
            home[root(j)] = root(i)
    together: dict[int, list[int]] = defaultdict(list)
    for i in range(len(scans)):
        together[root(i)].append(i)
    for cluster in together.values():
        if len(cluster) > 1:
            yield cluster, len({scans[i].id for i in cluster}) == 1


def _patients(scans: Sequence[Looked]) -> Iterator[Finding]:
    labels: dict[str, set[str]] = defaultdict(set)
    for scan in scans:
        if scan.label is not None:
            labels[scan.group].add(scan.label)
    both = [group for group, own in labels.items() if len(own) > 1]
    if both:
        members = [scan for scan in scans if scan.group in set(both) and scan.label is not None]
        who = (
            f"One patient ({both[0]}) has"
            if len(both) == 1
            else f"{len(both)} patients (the first is {both[0]}) have"
        )
        yield Finding(
            "patient-two-labels",
            "note",
            f"{who} scans of several classes, such as {names_of(members)}. That is allowed; check that the labels are "
            "meant so.",
            tuple(scan.key for scan in members),
        )


def _mixtures(scans: Sequence[Looked]) -> Iterator[Finding]:
    learned = [scan for scan in scans if scan.side != "predict"]
    for kind, words, value in (
        ("mixed-modalities", "modalities", lambda scan: scan.modality),
        ("mixed-body-parts", "body parts", lambda scan: scan.body_part),
        (
            "mixed-colour",
            "colour and grey",
            lambda scan: "in colour" if scan.colour else "in shades of grey",
        ),
    ):
        yield from _mixture(learned, kind, words, value)


def _mixture(
    scans: Sequence[Looked], kind: str, words: str, value: Callable[[Looked], str | None]
) -> Iterator[Finding]:
    counts = Counter(name for scan in scans if (name := value(scan)) is not None)
    if len(counts) < 2:
        return
    rare = counts.most_common()[-1][0]
    odd = [scan for scan in scans if value(scan) == rare]
    tally = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    yield Finding(
        kind,
        "warning",
        f"The scans mix {words} ({tally}; {names_of(odd)} among the last). If the classes differ in this, the model "
        "may learn the machine and not the disease.",
        tuple(scan.key for scan in odd),
    )


def _pictures(scans: Sequence[Looked]) -> Iterator[Finding]:
    empty = [scan for scan in scans if scan.empty]
    if empty:
        yield Finding(
            "empty",
            "warning",
            f"{names_of(empty)} {'shows' if len(empty) == 1 else 'show'} next to nothing: nearly every pixel has the "
            "same value. Remove what is no scan.",
            tuple(scan.key for scan in empty),
            tuple(scan.key for scan in empty),
        )
    small = [scan for scan in scans if not scan.empty and min(scan.rows, scan.columns) < SMALL_SIDE]
    if small:
        first = small[0]
        yield Finding(
            "small",
            "warning",
            f"{names_of(small)} {'is' if len(small) == 1 else 'are'} smaller than {SMALL_SIDE} pixels "
            f"({first.columns} x {first.rows}): too little to see detail. Use the original, not a thumbnail.",
            tuple(scan.key for scan in small),
        )


def _orientation(scans: Sequence[Looked]) -> Iterator[Finding]:
    classes: dict[str, list[Looked]] = defaultdict(list)
    for scan in scans:
        if scan.label is not None and not scan.empty:
            classes[scan.label].append(scan)
    for label, members in sorted(classes.items()):
        by_pose: dict[str, list[Looked]] = defaultdict(list)
        for position, words in other_poses([scan.view for scan in members]):
            by_pose[words].append(members[position])
        for words, odd in by_pose.items():
            yield Finding(
                "orientation",
                "note",
                f"{names_of(odd)} may be {words}: beside the other scans of {label}, that would fit better. This is "
                "only a suspicion; look.",
                tuple(scan.key for scan in odd),
            )


_CHECKS = (_patients, _mixtures, _pictures, _orientation)


def names_of(scans: Sequence[Looked], *, all_of: bool = False) -> str:
    """The first files by name, the others as a number; two copies are joined by "and"."""
    names = [scan.file for scan in scans]
    if len(names) <= (_NAMED if all_of else 1):
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    shown = names[: _NAMED - 1] if all_of else names[:1]
    return f"{', '.join(shown)} and {len(names) - len(shown)} more"
