"""Files of one series as one volume: which belong together, in what order, and which of them answer for it.

A CT, MR or PET series is one patient's volume in one file a slice. What a slice shows of a finding differs, so not
every slice of a labelled volume carries its label: a person marks those that do, or the central one stands for it,
as the central frame does for a file of several frames.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from medmeta.scans.orientation import Vector, directions, numbers
from medmeta.scans.scan import LabelledScan, TagValue

#: Modalities whose series are volumes; a series of radiographs is several views.
VOLUMES = frozenset(("CT", "MR", "PT"))
#: Two directions are one when their cosines differ by less; positions (mm) likewise.
_SAME_DIRECTION, _SAME_POSITION = 1e-3, 1e-2
#: A step of more than this many usual steps is a gap.
_GAP = 1.5
_MOST_NOTES = 20


class Slice(Protocol):
    """What is asked of a file: a `Scan` and a workspace entry both have it."""

    @property
    def file(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def series(self) -> str: ...
    @property
    def modality(self) -> str | None: ...
    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def tags(self) -> Mapping[str, TagValue]: ...


@dataclass(frozen=True)
class Stack:
    """One scan as a person sees it: a file of its own, or the slices of a series.

    Attributes:
        order: positions in the sequence that was given to `stack_up`, in the order of the slices.
        along: where each lies along the normal of the slices, mm; None where the file does not say.
        step: the usual distance between neighbours, mm; None for a single file or unknown positions.
        localizer: a scout image beside other scans of its patient, which teaches nothing unless it is marked.
        notes: what a person should know about the order, in sentences.
    """

    order: tuple[int, ...]
    along: tuple[float | None, ...] = (None,)
    step: float | None = None
    localizer: bool = False
    notes: tuple[str, ...] = ()

    @property
    def central(self) -> int:
        """The slice that stands for all: the middle one of those with a position, the lower of two."""
        placed = [i for i, at in zip(self.order, self.along, strict=True) if at is not None] or self.order
        return placed[(len(placed) - 1) // 2]


@dataclass(frozen=True)
class Choice:
    """Which files of a stack are learned from, tested on or read, and why those."""

    positions: tuple[int, ...]
    why: Literal["marked", "labelled one by one", "central", "alone", "localizer"]


def stack_up(slices: Sequence[Slice]) -> list[Stack]:
    """Group the single-frame files of one volume and sort them along their normal.

    Files belong together that share group, series, rows, columns and orientation (PS3.3 C.7.6.2.1.1). They are
    sorted by Image Position projected on the normal of the slices, the cross product of the row and column
    directions: an axial series runs from feet to head. Equal positions (phases, echoes) and absent ones follow
    Instance Number. Everything else stands alone, slices of which not one names its position among it: nothing says
    that they are one volume, and nothing given is left out on a guess.

    Returns:
        stacks in the order in which their first file was given.
    """
    families: dict[tuple[object, ...], list[int]] = defaultdict(list)
    scouts = [is_localizer(each) for each in slices]
    others = {each.group for each, scout in zip(slices, scouts, strict=True) if not scout}
    made: list[Stack] = []
    for position, each in enumerate(slices):
        if scouts[position] and each.group in others:
            made.append(
                Stack((position,), localizer=True, notes=("a localizer: it is left out unless it is marked",))
            )
        elif is_slice(each):
            families[each.group, each.series, each.rows, each.columns].append(position)
        else:
            made.append(Stack((position,)))
    parts = {key: _directions(slices, members) for key, members in families.items()}
    apart = Counter(key[:2] for key, groups in parts.items() for _ in groups)
    for key, groups in parts.items():
        for members in groups:
            if any(_along(slices[i]) is not None for i in members):
                made.append(_sorted(slices, members, stacks=apart[key[:2]]))
            else:
                made.extend(Stack((i,)) for i in members)
    return sorted(made, key=lambda stack: min(stack.order))


def answering(stack: Stack, labels: Sequence[str | None], marked: Sequence[bool]) -> Choice:
    """The files of a stack that carry its label.

    Those a person marked; else, where labels differ within the stack, those that were labelled (a labels.csv for
    single slices says as much as marks do); else the central one. A localizer answers only when marked.

    Args:
        labels, marked: of the sequence that was given to `stack_up`.
    """
    if own := tuple(i for i in stack.order if marked[i]):
        return Choice(own, "marked")
    if stack.localizer:
        return Choice((), "localizer")
    if len(stack.order) == 1:
        return Choice(stack.order, "alone")
    if len({labels[i] for i in stack.order}) > 1:
        return Choice(tuple(i for i in stack.order if labels[i] is not None), "labelled one by one")
    return Choice((stack.central,), "central")


def representatives(
    items: Sequence[LabelledScan],
) -> tuple[tuple[LabelledScan, ...], tuple[str, ...]]:
    """The scans of an upload that are learned from or read, in their order, and sentences on what was left out."""
    scans, labels = [item.scan for item in items], [item.label for item in items]
    stacks = stack_up(scans)
    kept: set[int] = set()
    notes: list[str] = []
    whys: dict[str, list[Stack]] = defaultdict(list)
    for stack in stacks:
        choice = answering(stack, labels, [False] * len(items))
        kept.update(choice.positions)
        whys[choice.why].append(stack)
        notes.extend(f"{scans[stack.order[0]].file}: {note}" for note in stack.notes if not stack.localizer)
    if central := whys["central"]:
        files = sum(len(stack.order) for stack in central)
        notes.insert(
            0,
            f"{files} files are slices of {len(central)} volume{'' if len(central) == 1 else 's'}; the central "
            "slice stands for each. To use others, label those slices alone in a labels.csv (file,label,group)",
        )
    if single := whys["labelled one by one"]:
        notes.insert(0, f"in {len(single)} of the volumes slices carry labels of their own; those are used")
    if scouts := whys["localizer"]:
        more = "" if len(scouts) == 1 else f" and {len(scouts) - 1} more"
        notes.append(f"{scans[scouts[0].order[0]].file}{more}: a localizer, left out")
    if len(notes) > _MOST_NOTES:
        notes = [*notes[:_MOST_NOTES], f"{len(notes) - _MOST_NOTES} more notes on volumes are left out here"]
    return tuple(item for position, item in enumerate(items) if position in kept), tuple(notes)


def is_slice(each: Slice) -> bool:
    """Whether a file may be one slice of a volume: a single frame of a CT, MR or PET series, and no localizer."""
    return bool(each.series) and each.modality in VOLUMES and each.frames == 1 and not is_localizer(each)


def is_localizer(each: Slice) -> bool:
    """Value 3 of Image Type says so (PS3.3 C.8.2.1.1.1); other modalities write it in the same place."""
    return "LOCALIZER" in str(each.tags.get("ImageType") or "").split("\\")


def _directions(slices: Sequence[Slice], members: Sequence[int]) -> list[list[int]]:
    """Members of a series apart by orientation. Those without a place join the only one, else they stand together."""
    found: list[tuple[Vector, list[int]]] = []
    unplaced: list[int] = []
    for i in members:
        axes = directions(slices[i].tags)
        if axes is None or numbers(slices[i].tags, "ImagePositionPatient") is None:
            unplaced.append(i)
            continue
        both = np.concatenate(axes)
        for known, group in found:
            if np.abs(known - both).max() < _SAME_DIRECTION:
                group.append(i)
                break
        else:
            found.append((both, [i]))
    groups = [group for _, group in found]
    if len(groups) == 1:
        return [groups[0] + unplaced]
    return groups + ([unplaced] if unplaced else [])


def _sorted(slices: Sequence[Slice], members: Sequence[int], *, stacks: int) -> Stack:
    """One stack in order. ``stacks``: how many the series falls into."""
    if len(members) == 1 and stacks == 1:
        return Stack(tuple(members))
    at = {i: _along(slices[i]) for i in members}
    placed = sorted(
        (i for i in members if at[i] is not None), key=lambda i: (at[i] or 0.0, _instance(slices[i]), i)
    )
    unplaced = sorted((i for i in members if at[i] is None), key=lambda i: (_instance(slices[i]), i))
    order = (*placed, *unplaced)
    distances = np.diff([at[i] or 0.0 for i in placed])
    notes = []
    if stacks > 1:
        notes.append(f"its series holds slices of {stacks} directions or sizes; each is a stack of its own")
    if unplaced:
        notes.append(
            f"{len(unplaced)} of {len(order)} slices name no position; they follow their Instance Number and stand at "
            "the end"
        )
    if repeated := int((distances < _SAME_POSITION).sum()):
        notes.append(
            f"{repeated} of {len(order)} slices lie where another one does (several phases or echoes, or copies); they "
            "follow their Instance Number there"
        )
    steps = distances[distances >= _SAME_POSITION]
    step = float(np.median(steps)) if len(steps) else None
    if step is not None:
        wide = np.flatnonzero(distances > _GAP * step)
        if len(wide):
            more = "" if len(wide) == 1 else f", and in {len(wide) - 1} more places"
            notes.append(
                f"slices {wide[0] + 1} and {wide[0] + 2} lie {distances[wide[0]]:.4g} mm apart where {step:.4g} mm is "
                f"usual{more}: slices may be missing"
            )
    return Stack(order, tuple(at[i] for i in order), step, notes=tuple(notes))


def _along(each: Slice) -> float | None:
    axes, position = directions(each.tags), numbers(each.tags, "ImagePositionPatient")
    if axes is None or position is None:
        return None
    return float(np.cross(*axes) @ np.array(position))


def _instance(each: Slice) -> float:
    value = each.tags.get("InstanceNumber")
    return float(value) if isinstance(value, (int, float)) else float("inf")
