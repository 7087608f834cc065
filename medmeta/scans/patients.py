"""Whose scans an upload holds, decided file by file, so that one patient is under one group wherever it can be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from medmeta.scans.deidentify import pseudonym
from medmeta.scans.scan import Scan

#: What its files must all share one patient by: ("study", pseudonym) or ("folder", name).
_Place = tuple[str, str]

_WHY = {
    "study": "are of one study, and a study is of one patient (PS3.3 A.1.2)",
    "folder": "lie in one folder that stands for a patient",
}


class Patients:
    """Groups of scans as they pass by; keeps pseudonyms, folders and file names, never pixels.

    A Patient ID counts as it is, so that it meets its other files in later uploads too. A file without one is given
    the Patient ID of its study, else that of its folder where only one occurs there, else the group that others
    without one got in its study or folder, else its folder's. A Patient ID that comes after such files is too late
    for them, as they are gone: then a sentence at the end names them.

    Args:
        key: pseudonym key.
        folders: folder that stands for the patient, by file.
    """

    def __init__(self, key: bytes, folders: Mapping[str, str]) -> None:
        self._key, self._folders = key, folders
        # By place: the first file of each group, of those with a Patient ID and of the others (group, source).
        self._named: dict[_Place, dict[str, str]] = defaultdict(dict)
        self._others: dict[_Place, dict[tuple[str, str], str]] = defaultdict(dict)

    def grouped(self, scan: Scan) -> Scan:
        """The scan under its patient's group."""
        folder = self._folders.get(scan.file)
        places = [place for place in (("study", scan.study), ("folder", folder or "")) if place[1]]
        if scan.group_source == "PatientID":
            for place in places:
                self._named[place].setdefault(scan.group, scan.file)
            return scan
        own = (scan.group, scan.group_source)
        if folder is not None:  # people name folders after people
            own = (pseudonym(self._key, "folder", folder), "folder")
        group, source = self._known(places) or own
        for place in places:
            self._others[place].setdefault((group, source), scan.file)
        return replace(scan, group=group, group_source=source)

    def _known(self, places: list[_Place]) -> tuple[str, str] | None:
        for place in places:
            named = self._named[place]
            if len(named) == 1:
                return next(iter(named)), "PatientID" if place[0] == "study" else "folder"
        return next((known for place in places for known in self._others[place]), None)

    def sentences(self) -> Iterator[str]:
        """Places whose files count as several patients."""
        for kind, why in _WHY.items():
            divided = [
                files for place in list(self._named | self._others) if (files := self._divided(place, kind))
            ]
            if divided:
                more = "" if len(divided) == 1 else f", and so are {len(divided) - 1} more"
                yield (
                    f"{divided[0][0]} and {divided[0][1]} {why}, but count as two patients{more}; give "
                    "the scans of one person one group in a labels.csv (file,label,group)"
                )

    def _divided(self, place: _Place, kind: str) -> list[str]:
        """First files of the groups in a place, if they are several; Patient IDs alone may share a folder."""
        if place[0] != kind or (kind == "folder" and not self._others[place]):
            return []
        groups = dict(self._named[place])
        for (group, _), file in self._others[place].items():
            groups.setdefault(group, file)
        return sorted(groups.values()) if len(groups) > 1 else []
