"""Uploads to labelled scans: one bad file never stops the others, and few scans are in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from medmeta.errors import MedMetaError, ScanRejectedError
from medmeta.progress import Progress, silent
from medmeta.scans.archive import Member, Source, expand, is_labels, source_of, walk_folder
from medmeta.scans.deidentify import KEY_BYTES
from medmeta.scans.folders import Folders, patients_beside_table, read_folders, remarks
from medmeta.scans.labels import LabelRow, match_rows, parse_labels
from medmeta.scans.limits import Limits, in_words
from medmeta.scans.notes import Notes
from medmeta.scans.office import nested
from medmeta.scans.patients import Patients
from medmeta.scans.pool import Pool, Submit, at_once, run_ahead
from medmeta.scans.reader import READABLE, Reader
from medmeta.scans.refusal import RefusedError
from medmeta.scans.scan import Intake, LabelledScan, Rejection, Scan
from medmeta.scans.sniff import ACCEPTED, HEAD_BYTES, Kind, sniff

Found = LabelledScan | Rejection | str


def iter_intake(
    uploads: Iterable[tuple[str, bytes | BinaryIO]],
    *,
    key: bytes,
    limits: Limits | None = None,
    progress: Progress = silent,
    reader: Reader | None = None,
) -> Iterator[Found]:
    """Read an upload file by file: DICOM, NIfTI, PNG, JPEG, TIFF, BMP and ZIPs of them, with or without ``labels.csv``.

    A file's label is what labels.csv says, else its class folder (`medmeta.scans.folders.read_folders`), else
    None. Its group is what labels.csv says, else the patient's pseudonym, else that of the folder below its class
    folder (beside a labels.csv also of the outermost folder), else the file itself; `medmeta.scans.patients.Patients`
    keeps studies and such folders together.

    Args:
        uploads: (name, content); content is bytes or an open, seekable binary file.
        key: pseudonym key.
        limits: budgets; the defaults where None.
        progress: told after every file; may raise `CancelledError`.
        reader: decodes one file; where None, separate processes, one a core, that live as long as the intake
            does. `in_process` is the cheap one for files of trusted origin.

    Yields:
        `LabelledScan` for a good file, `Rejection` for a refused one, and at the end sentences (str) that
        concern the whole upload.
    """
    yield from _intake(
        (source_of(name, data) for name, data in uploads), (), key, limits or Limits(), progress, reader
    )


def read_source(
    source: Path,
    *,
    key: bytes,
    limits: Limits | None = None,
    progress: Progress = silent,
    reader: Reader | None = None,
) -> Intake:
    """Read a folder, a ZIP or a single file from disk; see `iter_intake` for the rules.

    Raises:
        MedMetaError: there is no such file or folder.
    """
    limits = limits or Limits()
    source = Path(source)
    sources: list[Source] = []
    early: list[Rejection] = []
    if source.is_dir():
        for each in walk_folder(source, limits):
            if isinstance(each, Source):
                sources.append(each)
            else:
                early.append(each)
    elif source.is_file():
        sources.append(Source(source.name, lambda: source.open("rb")))
    else:
        raise MedMetaError(f"{source}: no such folder or file; give a folder or ZIP of scans, or one scan")
    accepted: list[LabelledScan] = []
    rejected: list[Rejection] = []
    warnings: list[str] = []
    for found in _intake(sources, early, key, limits, progress, reader):
        if isinstance(found, LabelledScan):
            accepted.append(found)
        elif isinstance(found, Rejection):
            rejected.append(found)
        else:
            warnings.append(found)
    return Intake(tuple(accepted), tuple(rejected), tuple(warnings))


def _intake(
    sources: Iterable[Source],
    early: Sequence[Rejection],
    key: bytes,
    limits: Limits,
    progress: Progress,
    reader: Reader | None,
) -> Iterator[Found]:
    if len(key) < KEY_BYTES:
        raise ValueError(f"a pseudonym key must have at least {KEY_BYTES} bytes, found {len(key)}")
    with ExitStack() as stack:
        pool = None
        submit: Submit
        enough: Callable[[int], bool]
        if reader is None:
            pool = stack.enter_context(Pool(limits))  # first of all: its processes take a while to start
            submit, enough = pool.submit, pool.has_enough
        else:
            submit, enough = at_once(reader), bool
        members, refused = expand(sources, limits, stack)
        yield from early
        yield from refused
        tables = [member for member in members if is_labels(member.name)]
        files = [member for member in members if not is_labels(member.name)]
        names = [member.name for member in files]
        # A readme or a paper beside the scans says nothing of how their folders are laid out.
        scans = [member.name for member in files if member.kind in READABLE]
        folders = read_folders(scans, limits)
        notes = Notes()
        rows, refusals = _read_tables(tables, names, limits, notes)
        yield from refusals
        if refusals:
            folders = Folders(dict.fromkeys(scans), {}, (), (), ())
        for remark in remarks(folders, limits, labelled=all(name in rows for name in scans)):
            notes.add(remark)
        beside = patients_beside_table(scans, {name: row.label for name, row in rows.items()})
        by_folder = {**folders.patients, **beside}
        patients = Patients(key, by_folder)
        # In a patient's folder DICOM files come first: they may name the patient of a picture beside them.
        files.sort(key=lambda member: member.name in by_folder and member.kind is not Kind.DICOM)
        for position, member, scan in run_ahead(_hand_out(files, key, limits, submit), enough):
            progress(position / len(files), f"Reading file {position + 1} of {len(files)}")
            try:
                item = _labelled(scan.result(), member.name, folders, rows.get(member.name), patients)
            except RefusedError as problem:
                yield Rejection(member.name, str(problem))
                continue
            except ScanRejectedError as problem:
                yield Rejection(problem.file, problem.reason)
                continue
            finally:
                if pool is not None:
                    pool.took(scan)
            notes.saw(item)
            yield item
        if not files:
            notes.add(f"the upload holds no file that could be a scan; choose {ACCEPTED}")
        progress(1.0, f"Read {len(files)} of {len(files)} files")
        yield from patients.sentences()
        yield from notes.sentences()


def _hand_out(
    files: Sequence[Member], key: bytes, limits: Limits, submit: Submit
) -> Iterator[tuple[int, Member, Future[Scan]]]:
    """Read the bytes of each file and start its decoding; what is refused before that is a failed future."""
    left = limits.upload_bytes
    for position, member in enumerate(files):
        try:
            data = member.read()
            left -= len(data)
            if left < 0:
                raise RefusedError(f"the upload is larger than {in_words(limits.upload_bytes)}; split it")
            _check_kind(data, member)
        except RefusedError as problem:
            refused: Future[Scan] = Future()
            refused.set_exception(problem)
            yield position, member, refused
            continue
        yield position, member, submit(data, member.name, key)


def _check_kind(data: bytes, member: Member) -> None:
    kind = sniff(data[:HEAD_BYTES])
    if member.name.rsplit("/", 1)[-1].upper() == "DICOMDIR":
        raise RefusedError("is a DICOMDIR, the index of a disc; choose the image files themselves")
    if kind is Kind.ZIP:
        raise RefusedError(nested(data) or "is a ZIP inside a ZIP; unpack it and upload its files")
    if kind not in READABLE:
        raise RefusedError(f"is {kind.value}; expected {ACCEPTED}")


def _labelled(
    scan: Scan, name: str, folders: Folders, row: LabelRow | None, patients: Patients
) -> LabelledScan:
    if row is None:
        return LabelledScan(patients.grouped(scan), folders.labels.get(name))
    if row.group is None:
        return LabelledScan(patients.grouped(scan), row.label)
    return LabelledScan(replace(scan, group=row.group, group_source="labels.csv"), row.label)


def _read_tables(
    tables: Sequence[Member], names: Sequence[str], limits: Limits, notes: Notes
) -> tuple[dict[str, LabelRow], list[Rejection]]:
    rows: dict[str, LabelRow] = {}
    refusals = []
    for table in tables:
        try:
            parsed = parse_labels(table.read(), limits)
        except RefusedError as problem:
            reason = f"{problem}. No label was taken from it or from folders; mend it and upload again"
            refusals.append(Rejection(table.name, reason))
            continue
        folder = table.name[: -len("labels.csv")]
        found, absent = match_rows(parsed, folder, names)
        contradicted = [name for name, row in found.items() if rows.setdefault(name, row) != row]
        if contradicted:  # the reason is kept for the record, where no file may be named
            refusals.append(
                Rejection(table.name, "another labels.csv says otherwise of the same files; keep one")
            )
            notes.add(f"{table.name} and another labels.csv do not agree about {_first(contradicted)}")
        if absent:
            notes.add(
                f"{table.name} names {_first(absent)}, which the upload does not hold, or holds more than "
                "once; write folder and name as they are there"
            )
    return rows, refusals


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
