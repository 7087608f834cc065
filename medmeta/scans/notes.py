"""What a person should know about an upload as a whole, gathered while its files pass by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from medmeta.scans.scan import LabelledScan


class Notes:
    """Collects sentences; keeps names and labels only, since holding scans would hold all their pixels."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._counts: dict[str, int] = defaultdict(int)
        self._flagged: dict[str, list[str]] = defaultdict(list)

    def add(self, sentence: str) -> None:
        self._said.append(sentence)

    def saw(self, item: LabelledScan) -> None:
        """Take note of an accepted scan."""
        scan = item.scan
        self._counts[scan.group_source] += 1
        self._groups[scan.group_source].add(scan.group)
        for sentence in scan.warnings:
            self._flagged[sentence].append(scan.file)

    def sentences(self) -> Iterator[str]:
        """The sentences, most general last."""
        yield from self._said
        for sentence, files in self._flagged.items():
            more = "" if len(files) == 1 else f" and {len(files) - 1} more"
            yield f"{files[0]}{more}: {sentence}"
        total = sum(self._counts.values())
        if total > 1 and self._counts["PatientID"] == total and len(self._groups["PatientID"]) == 1:
            yield (
                f"all {total} scans carry one and the same Patient ID; if they are of several people, give each "
                "person a group in a labels.csv (file,label,group)"
            )
        if unknown := self._counts["file"]:
            yield (
                f"{unknown} of {total} scans name no patient, so each counts as a patient of its own; if some are of "
                "one person, give them one group in a labels.csv (file,label,group)"
            )
        if filed := self._counts["folder"]:
            yield (
                f"{filed} of {total} scans lie in folders that stand for patients, {len(self._groups['folder'])} in "
                "all; if such a folder is no patient, give the patients in a labels.csv (file,label,group)"
            )
        if studies := self._counts["StudyInstanceUID"]:
            yield (
                f"{studies} of {total} scans have an empty Patient ID and were grouped by study; if one person has "
                "several studies here, give them one group in a labels.csv (file,label,group)"
            )
