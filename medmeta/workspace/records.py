"""What the workspace hands out: plain frozen records, no connection behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from medmeta.errors import MedMetaError
from medmeta.scans.scan import Rejection, TagValue
from medmeta.tasks.task import Task

#: What a scan is there for: adapting, testing with a known label, or a new scan to be read.
Role = Literal["support", "query", "predict"]
ROLES: tuple[Role, ...] = ("support", "query", "predict")

JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
#: States in which a job still has something to do.
LIVE: frozenset[JobState] = frozenset(("queued", "running"))


class WorkspaceError(MedMetaError):
    """Something the workspace was asked for is gone, damaged or not allowed."""


@dataclass(frozen=True)
class TaskInfo:
    """A task as the list of tasks shows it.

    Attributes:
        id: short unguessable name, fit for a URL.
        synthetic: the project made the scans itself, no patient is behind them.
        created, used: seconds since the epoch.
        support, query: scans of each role, a series counted once; ``labelled`` counts the support scans with a
            label.
        classes, patients: distinct labels and groups of the support.
    """

    id: str
    name: str
    synthetic: bool
    created: float
    used: float
    support: int
    labelled: int
    query: int
    classes: int
    patients: int


@dataclass(frozen=True)
class Entry:
    """One file of one task; the pixels stay on disk until asked for.

    ``series`` is as in `Scan`, and empty for a file that is no slice of a volume; ``marked``: a person says that this
    slice of a volume carries its label.
    """

    id: int
    task_id: str
    scan_id: str
    file: str
    label: str | None
    group: str
    group_source: str
    role: Role
    modality: str | None
    rows: int
    columns: int
    frames: int
    transfer_syntax: str | None
    warnings: tuple[str, ...]
    tags: Mapping[str, TagValue]
    #: Text may be burned into the picture and nobody has looked yet: not used until then.
    held: bool = False
    series: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Notice:
    """A refused file (``file`` and why) or a warning about an upload (``file`` is empty)."""

    id: int
    file: str
    text: str

    @property
    def is_rejection(self) -> bool:
        return bool(self.file)


@dataclass(frozen=True)
class UploadSummary:
    """What one upload gave.

    Attributes:
        accepted: scans added.
        duplicates: files whose pixels were there already; nothing changed.
        relabelled: files whose pixels were there without a label, and that brought one.
        rejected: files refused and why.
        warnings: sentences about the upload as a whole.
    """

    accepted: int = 0
    duplicates: int = 0
    relabelled: int = 0
    rejected: tuple[Rejection, ...] = ()
    warnings: tuple[str, ...] = ()

    def sentence(self) -> str:
        """One line for the person who uploaded."""
        parts = [f"{self.accepted} scan{'' if self.accepted == 1 else 's'} added"]
        if self.relabelled:
            parts.append(f"{self.relabelled} already there, label taken over")
        if self.duplicates:
            parts.append(f"{self.duplicates} already there")
        if self.rejected:
            parts.append(f"{len(self.rejected)} refused")
        return ", ".join(parts)


@dataclass(frozen=True)
class TaskSets:
    """The scans of a task as learners take them; ``unlabelled`` support and query scans are left out."""

    support: Task
    query: Task | None
    unlabelled: int


@dataclass(frozen=True)
class EditStep:
    """What undo or redo would change, in words; None where there is nothing."""

    undo: str | None
    redo: str | None


@dataclass(frozen=True)
class Job:
    """A piece of background work as its row says.

    Attributes:
        kind: ``"intake"``, ``"text"``, ``"adapt"``, ``"rank"`` or ``"predict"``.
        fraction: finished share in [0, 1].
        error: text for the person when ``state`` is ``"failed"``.
        params: what the job was started with.
        signature: digest of the task's scans and labels at the start.
        created, started, finished: seconds since the epoch.
    """

    id: str
    kind: str
    task_id: str
    state: JobState
    fraction: float
    message: str
    created: float
    started: float | None
    finished: float | None
    error: str | None
    signature: str
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        return self.state in LIVE
