"""Sentences a person must read with the figures: what they cannot show, and what to check."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet

from medmeta.evaluation.cases import commonest_answer
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, Evaluation
from medmeta.learners.titles import learner_title
from medmeta.scans.scan import Scan
from medmeta.tasks.task import Task

#: An interval wider than this leaves open whether a method is useless or good.
WIDE_INTERVAL = 0.4
#: With fewer patients in a class, its sensitivity is a matter of one or two of them.
FEW_PATIENTS = 10
#: The largest class has this many times the patients of the smallest: say so.
IMBALANCE = 3.0
#: Below this share of evenly spread patients, the share of scans leans on few of them.
UNEVEN = 0.7
#: Fewer scans than this share a property by chance.
SHORTCUT_SCANS = 3


def collect_notes(draft: Evaluation, support: Task, query: Task | None, n_folds: int) -> tuple[str, ...]:
    """All notes for an evaluation whose figures are final.

    Args:
        draft: the evaluation, its own notes disregarded.
        support: what was adapted on.
        query: what was predicted; None for leave-one-patient-out.
        n_folds: models adapted to evaluate; below the number of groups when patients shared folds.
    """
    tested = support if query is None else query
    notes = [
        *_few_patients(draft),
        *_no_better_than_guessing(draft),
        *_perfect(draft),
        *_leaks(draft),
        *_shortcuts(support, query, {leak.name for leak in draft.leaks}),
        *_baselines(draft),
        *_single_patient_classes(draft, support),
        *_absent_classes(draft),
        *_unknown_patients(support, query),
        *_several_labels(tested),
        *_imbalance(support),
        *_uneven(draft),
        *_abstained(draft),
    ]
    if draft.protocol == LEAVE_ONE_GROUP_OUT and n_folds < draft.n_groups:
        notes.append(
            f"To save time, {draft.n_groups} patients were left out in {n_folds} groups of about equal size "
            "instead of one by one; each was still left out exactly once and never divided."
        )
    return tuple(notes)


def quoted(label: str) -> str:
    """A label in quotation marks, shortened so that a sentence stays readable."""
    return f"“{label if len(label) <= 60 else label[:59] + '…'}”"


def _list(labels: list[str]) -> str:
    names = [quoted(label) for label in labels[:5]] + (["others"] if len(labels) > 5 else [])
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _few_patients(draft: Evaluation) -> Iterator[str]:
    interval = draft.patients.interval
    small = [figures.label for figures in draft.per_class if 0 < figures.n_groups < FEW_PATIENTS]
    wide = interval.high - interval.low > WIDE_INTERVAL
    if not small and not wide:
        return
    reasons = []
    if wide:
        reasons.append(
            f"with {draft.n_groups} patients the true rate may lie anywhere from "
            f"{interval.low * 100:.0f} to {interval.high * 100:.0f}\u00a0%"
        )
    if small:
        reasons.append(
            f"{_list(small)} {'has' if len(small) == 1 else 'have'} fewer than {FEW_PATIENTS} patients"
        )
    yield (
        f"Too few patients to conclude: {'; '.join(reasons)}. A few other patients can change every figure "
        "here; add patients before relying on it."
    )


def _no_better_than_guessing(draft: Evaluation) -> Iterator[str]:
    label, count = commonest_answer(draft.cases, draft.classes)
    if count and draft.patients.interval.low <= count / draft.n_groups:
        yield (
            f"Not shown to be better than guessing: always answering {quoted(label)} would be right for "
            f"{count} of {draft.n_groups} patients, and the interval reaches down to that."
        )


def _perfect(draft: Evaluation) -> Iterator[str]:
    if draft.patients.correct == draft.patients.n:
        yield (
            "Every patient was right. That happens by luck with few patients, and it is also what a short cut "
            "looks like: check that the classes do not come from different devices, hospitals or dates, that "
            "no marker or text in the image gives the label away, and that no patient appears under two names."
        )


_PROPERTIES: tuple[tuple[str, Callable[[Scan], object]], ...] = (
    ("image size", lambda scan: (scan.rows, scan.columns)),
    ("number of frames", lambda scan: scan.frames),
    ("colour or greyscale", lambda scan: scan.is_colour),
    ("modality", lambda scan: scan.tags.get("Modality")),
    ("body part", lambda scan: scan.tags.get("BodyPartExamined")),
    ("view position", lambda scan: scan.tags.get("ViewPosition")),
    ("file compression", lambda scan: scan.transfer_syntax),
    ("greyscale polarity", lambda scan: scan.monochrome1),
)


def _leaks(draft: Evaluation) -> Iterator[str]:
    """Each kind of short cut in one note, single properties before all together."""
    for kind in ("technical", "image"):
        found = [leak for leak in draft.leaks if leak.kind == kind]
        single = [leak for leak in found if not leak.name.endswith("together")] or found
        if not single:
            continue
        first, *rest = single
        text = (
            f"Possible short cut: the classes can be told apart by {first.name} alone, for {first.correct} of "
            f"{first.n} patients left out in turn (always the commonest answer: {first.guess})"
        )
        if rest:
            text += f"; also by {', '.join(f'{leak.name} ({leak.correct})' for leak in rest[:3])}"
        what = (
            "Add scans that break the pattern."
            if kind == "technical"
            else "Where the finding fills the whole picture that is to be expected; else look there for markers, text "
            "or collimation, and crop what does not belong to it."
        )
        yield f"{text}. The model may recognise that and not the disease. {what}"


def _shortcuts(support: Task, query: Task | None, told: AbstractSet[str]) -> Iterator[str]:
    """A property that all scans of a class share and no other scan has can stand in for the disease."""
    scans = support.scans + (() if query is None else query.scans)
    labels = support.labels + (() if query is None else query.labels)
    telling: dict[str, list[str]] = defaultdict(list)
    for name, read in _PROPERTIES:
        if name in told:
            continue
        values: dict[str, set[object]] = defaultdict(set)
        for scan, label in zip(scans, labels, strict=True):
            values[label].add(read(scan))
        for label, own in values.items():
            others = set().union(*(seen for other, seen in values.items() if other != label))
            if len(own) == 1 and not own & others and labels.count(label) >= SHORTCUT_SCANS:
                telling[label].append(name)
    for label, names in list(telling.items())[:4]:
        yield (
            f"Possible short cut: all scans of {quoted(label)}, and no others, have the same {' and '.join(names)}. "
            "The model may recognise that and not the disease; add scans that break the pattern."
        )


def _baselines(draft: Evaluation) -> Iterator[str]:
    if not draft.comparisons:
        return
    best = max(draft.comparisons, key=lambda comparison: comparison.patients.correct)
    ours = f"{draft.patients.correct} of {draft.n_groups}"
    if best.patients.correct >= draft.patients.correct:
        how = "better" if best.patients.correct > draft.patients.correct else "as well"
        yield (
            f"Not better than a simple method: “{learner_title(best.learner)}” did {how} on the same patients "
            f"({best.patients.correct} of {best.patients.n}, this model {ours})."
        )
    elif any(comparison.difference_interval.low <= 0 for comparison in draft.comparisons):
        yield (
            f"More patients right than the best simple method ({ours} against {best.patients.correct}), but with "
            f"{draft.n_groups} patients this difference can be chance."
        )


def _single_patient_classes(draft: Evaluation, support: Task) -> Iterator[str]:
    if draft.protocol != LEAVE_ONE_GROUP_OUT:
        return
    single = [label for label, count in support.groups_per_class().items() if count == 1]
    if single:
        yield (
            f"Only one patient has {_list(single)}: when that patient is left out no example remains, so these "
            "scans count as wrong whatever the method. Add a second patient."
        )


def _absent_classes(draft: Evaluation) -> Iterator[str]:
    absent = [figures.label for figures in draft.per_class if figures.n_scans == 0]
    if absent:
        yield f"The query set has no scan of {_list(absent)}; how well these are found was not measured."


def _unknown_patients(support: Task, query: Task | None) -> Iterator[str]:
    scans = support.scans + (() if query is None else query.scans)
    if unknown := sum(scan.group_source == "file" for scan in scans):
        share = "All" if unknown == len(scans) else f"{unknown} of {len(scans)}"
        yield (
            f"{share} scans name no patient, so each counts as its own patient. If some are of the same person, "
            "the figures are too good and the interval too narrow; give the patients in a labels.csv."
        )
    if filed := sum(scan.group_source == "folder" for scan in scans):
        share = "all" if filed == len(scans) else f"{filed} of {len(scans)}"
        yield (
            f"The patient of {share} scans is taken to be the folder they lie in. If one person has several "
            "folders, the figures are too good; give the patients in a labels.csv."
        )


def _several_labels(tested: Task) -> Iterator[str]:
    labels_of: dict[str, set[str]] = defaultdict(set)
    for group, label in zip(tested.groups, tested.labels, strict=True):
        labels_of[group].add(label)
    several = sum(len(labels) > 1 for labels in labels_of.values())
    if several:
        has, counts = ("patient has", "counts") if several == 1 else ("patients have", "each counts")
        yield f"{several} {has} scans of more than one label and {counts} as right only when each label is right."


def _imbalance(support: Task) -> Iterator[str]:
    counts = support.groups_per_class()
    most, fewest = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
    if counts[most] >= IMBALANCE * counts[fewest]:
        yield (
            f"The classes are unequal: {counts[most]} patients of {quoted(most)}, {counts[fewest]} of "
            f"{quoted(fewest)}, and answers lean to the larger. Read the balanced accuracy and the sensitivity of each "
            "class, not the total."
        )


def _uneven(draft: Evaluation) -> Iterator[str]:
    sizes = list(Counter(case.group for case in draft.cases).values())
    # Kish's effective number of equally large patients.
    effective = sum(sizes) ** 2 / sum(size * size for size in sizes)
    if effective < UNEVEN * len(sizes):
        yield (
            f"The scans are spread unevenly: one patient has {max(sizes)} of {len(draft.cases)}. Read the count of "
            "patients; figures per scan lean on the patients with most scans."
        )


def _abstained(draft: Evaluation) -> Iterator[str]:
    declined = sum(case.abstained for case in draft.cases)
    if declined == 0:
        return
    answered = [case for case in draft.cases if not case.abstained]
    text = (
        f"The model declined to answer {declined} of {len(draft.cases)} scans; here they count by its most "
        "probable label all the same."
    )
    if answered:
        text += f" Of the {len(answered)} it answered, {sum(case.correct for case in answered)} were right."
    yield text
