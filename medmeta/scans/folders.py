"""What the folders of an upload say of the files in them: classes, and patients below the classes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medmeta.scans.labels import clean_label
from medmeta.scans.limits import Limits
from medmeta.scans.refusal import RefusedError

#: Folders of these names divide a data set for a benchmark; none of them is a finding.
_PART = re.compile(
    r"(train(ing)?|val(id(ation)?)?|test(ing)?)([ _-]?set)?|(fold|split)[ _-]?\d+", re.IGNORECASE
)

#: Words in names of folders that hold scans of many people, however they are numbered.
_HOLDERS = frozenset(
    (
        "image",
        "images",
        "img",
        "imgs",
        "picture",
        "pictures",
        "mask",
        "masks",
        "part",
        "batch",
        "chunk",
        "data",
        "dataset",
    )
)

#: The folders a file lies in, outermost first, by the file's name.
Paths = dict[str, list[str]]


@dataclass(frozen=True)
class Folders:
    """What folders say.

    Attributes:
        labels: of every file; None where no folder names a class.
        patients: folder that stands for the patient, of the files that have one.
        parts: folders such as ``train`` and ``test`` that were passed over, as they are written.
        flat: such folders without classes in them, whose files have no label therefore.
        faulty: files whose folder cannot be a label.
    """

    labels: Mapping[str, str | None]
    patients: Mapping[str, str]
    parts: tuple[str, ...]
    flat: tuple[str, ...]
    faulty: tuple[str, ...]


def read_folders(names: Sequence[str], limits: Limits) -> Folders:
    """Labels and patients of files from their folders.

    Folders that all files share are the upload's own wrapping and are stripped, as long as a folder remains for
    any file. So are the parts of a data set where only such folders lie beside each other: ``train``, ``training``,
    ``val``, ``valid``, ``validation``, ``test`` and ``testing``, each also with ``set`` (``train_set``), and ``fold``
    and ``split`` with a number (``fold0``, ``split_1``), in either case. One folder of another name among them, and
    all are classes. The first folder left is the label: ``data/melanoma/patient 7/IM1`` beside ``data/naevus/IM9``
    is ``melanoma``. Files without a folder have no label, nor have files that lie in parts alone: ``train/1.png``
    beside ``test/2.png`` shows no finding.

    The folder below the label is the patient: files of one folder are never divided, though a person who has
    several folders may be. Where the folders are something else, files are only joined that could have been told
    apart. Folders of the same names below every class, none with a digit, such as ``images`` and ``masks``, are
    passed over where no file lies beside them.

    Args:
        names: names with ``/`` between folders.
        limits: for the length of a label.
    """
    paths, parts = _unwrapped({name: name.split("/")[:-1] for name in names})
    flat = _parts_alone(paths)
    if flat:
        paths = {name: [] for name in names}
    labels: dict[str, str | None] = dict.fromkeys(names)
    faulty = []
    for name, folders in paths.items():
        try:
            labels[name] = clean_label(folders[0], limits) if folders else None
        except RefusedError:
            faulty.append(name)
    return Folders(labels, _patients(paths, labels), parts, flat, tuple(faulty))


def patients_beside_table(names: Sequence[str], table: Mapping[str, str | None]) -> dict[str, str]:
    """Patients that the outermost folders stand for, of files whose labels a labels.csv gives.

    ``p1/1.png`` and ``p2/2.png`` need no class folders then. A folder counts where others lie beside it and its name
    has a digit, unless it is a label of the table (a class), a part of a data set or a holder of many (``images 1``,
    ``part_2``). A wrong guess joins patients, which a test survives; dividing one would flatter it.

    Args:
        names: all scans, with ``/`` between folders.
        table: label by file, of the files the table names.
    """
    paths, _ = _unwrapped({name: name.split("/")[:-1] for name in names})
    tops = {folders[0] for folders in paths.values() if folders}
    classes = {label.casefold() for label in table.values() if label is not None}
    people = {
        top for top in tops if len(tops) > 1 and _may_be_a_person(top) and top.casefold() not in classes
    }
    return {name: paths[name][0] for name in table if paths.get(name) and paths[name][0] in people}


def _may_be_a_person(folder: str) -> bool:
    words = set(re.findall(r"[^\W\d_]+", folder.casefold()))
    return any(letter.isdigit() for letter in folder) and not words & _HOLDERS and not _PART.fullmatch(folder)


def remarks(folders: Folders, limits: Limits, *, labelled: bool) -> Iterator[str]:
    """What a person should know of the labels that folders gave; ``labelled``: a labels.csv named every scan."""
    if folders.faulty:
        yield (
            f"{len(folders.faulty)} files, the first is {folders.faulty[0]}, lie in a folder whose name cannot be "
            f"a label; give it a plain name of at most {limits.label_length} characters"
        )
    if labelled:
        return
    if folders.flat:
        yield (
            f"no label was taken from {' and '.join(folders.flat)}: such folders divide a data set and name no "
            "finding; put the scans into one folder a class, or label them in a labels.csv (file,label,group)"
        )
    elif folders.parts:
        yield (
            f"the folders {' and '.join(folders.parts)} were read as one set, and the folders in them as classes; "
            "to learn from one and test on another, give each on its own"
        )


def _unwrapped(paths: Paths) -> tuple[Paths, tuple[str, ...]]:
    parts: tuple[str, ...] = ()
    while any(len(folders) > 1 for folders in paths.values()):
        tops = {folders[0] for folders in paths.values() if folders}
        if len(tops) > 1:
            alone = _parts_alone(paths)
            if not alone:
                break
            parts += alone
        paths = {name: folders[1:] for name, folders in paths.items()}
    return paths, parts


def _parts_alone(paths: Paths) -> tuple[str, ...]:
    """The outermost folders where all of them are parts of a data set, else none."""
    tops = sorted({folders[0] for folders in paths.values() if folders})
    return tuple(tops) if all(_PART.fullmatch(top) for top in tops) else ()


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
