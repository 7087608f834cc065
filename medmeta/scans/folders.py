"""What the folders of an upload say of the files in them: classes, and patients below the classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medmeta.scans.labels import clean_label
from medmeta.scans.limits import Limits
from medmeta.scans.refusal import RefusedError

#: Folders of these names divide a data set for a benchmark; none of them is a finding.
PARTS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing"))

#: The folders a file lies in, outermost first, by the file's name.
Paths = dict[str, list[str]]


@dataclass(frozen=True)
class Folders:
    """What folders say.

    Attributes:
        labels: of every file; None where no folder names a class.
        patients: folder that stands for the patient, of the files that have one.
        parts: folders such as ``train`` and ``test`` that were passed over, as they are written.
        faulty: files whose folder cannot be a label.
    """

    labels: Mapping[str, str | None]
    patients: Mapping[str, str]
    parts: tuple[str, ...]
    faulty: tuple[str, ...]


def read_folders(names: Sequence[str], limits: Limits) -> Folders:
    """Labels and patients of files from their folders.

    Folders that all files share are the upload's own wrapping and are stripped, as long as a folder remains for
    any file; so are ``train`` and ``test`` where they alone divide the upload. The first folder left is the
    label: ``data/melanoma/patient 7/IM1`` beside ``data/naevus/IM9`` is ``melanoma``. Files without a folder
    have no label.

    The folder below the label is the patient: files of one folder are never divided, though a person who has
    several folders may be. Where the folders are something else, files are only joined that could have been told
    apart. Folders of the same names below every class, none with a digit, such as ``images`` and ``masks``, are
    passed over where no file lies beside them.

    Args:
        names: names with ``/`` between folders.
        limits: for the length of a label.
    """
    paths, parts = _unwrapped({name: name.split("/")[:-1] for name in names})
    labels: dict[str, str | None] = dict.fromkeys(names)
    faulty = []
    for name, folders in paths.items():
        try:
            labels[name] = clean_label(folders[0], limits) if folders else None
        except RefusedError:
            faulty.append(name)
    return Folders(labels, _patients(paths, labels), parts, tuple(faulty))


def _unwrapped(paths: Paths) -> tuple[Paths, tuple[str, ...]]:
    parts: tuple[str, ...] = ()
    while any(len(folders) > 1 for folders in paths.values()):
        tops = {folders[0] for folders in paths.values() if folders}
        if len(tops) > 1:
            if parts or not {top.casefold() for top in tops} <= PARTS:
                break
            parts = tuple(sorted(tops))
        paths = {name: folders[1:] for name, folders in paths.items()}
    return paths, parts


def _patients(paths: Paths, labels: Mapping[str, str | None]) -> dict[str, str]:
    below = {name: folders[1:] for name, folders in paths.items() if labels[name] is not None}
    while True:
        of_class: dict[str | None, set[str]] = defaultdict(set)
        for name, folders in below.items():
            of_class[labels[name]].update(folders[:1])
        every = set().union(*of_class.values())
        alike = len(of_class) > 1 and all(below.values()) and all(own == every for own in of_class.values())
        if not alike or any(letter.isdigit() for folder in every for letter in folder):
            return {name: folders[0] for name, folders in below.items() if folders}
        below = {name: folders[1:] for name, folders in below.items()}
