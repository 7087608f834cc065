"""Background jobs: work on threads, its state in SQLite, so that any tab finds it after a refresh."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medmeta.errors import CancelledError, MedMetaError
from medmeta.progress import Progress
from medmeta.workspace.records import Job, WorkspaceError
from medmeta.workspace.store import Store

LOG = logging.getLogger("medmeta.jobs")

#: Seconds between two writes of a running job's progress, and between two signs of life.
_WRITE_EVERY = 0.2
_BEAT_EVERY = 1.0
#: A job whose process gave no sign of life for this long is taken for dead.
_DEAD_AFTER = 15.0

#: ``work(out, progress)``: writes its result into the folder ``out``.
Work = Callable[[Path, Progress], None]


class JobRunner:
    """Runs jobs of each kind one after the other; a task has at most one live job of a kind.

    Args:
        store: the workspace whose database holds the jobs and whose ``runs/`` holds the results.

    A job that another process left behind is marked ``interrupted``; so is one whose process died.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = f"{os.getpid()}-{secrets.token_hex(6)}"
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._cancels: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._mark_orphans()

    def submit(self, kind: str, task_id: str, work: Work, params: Mapping[str, str] | None = None) -> Job:
        """Start ``work``, or return the live job of this kind and task when there is one.

        Raises:
            WorkspaceError: the task is gone.
        """
        self._mark_orphans()
        # Unguessable: the id stands in the URL.
        job_id, now = secrets.token_urlsafe(9).replace("-", "a").replace("_", "b"), time.time()
        signature = self._store.signature(task_id)
        with (
            self._lock
        ):  # before the row: a row of ours that stands for no work of this runner counts as dead
            self._cancels[job_id] = threading.Event()
        try:
            with self._store.database.write() as connection:
                live = connection.execute(
                    "SELECT id FROM job WHERE task_id = ? AND kind = ? AND state IN ('queued', 'running')",
                    (task_id, kind),
                ).fetchone()
                if live is None:
                    connection.execute(
                        "INSERT INTO job (id, kind, task_id, state, message, created, signature, params, "
                        "owner, beat) VALUES (?, ?, ?, 'queued', 'Waiting to start', ?, ?, ?, ?, ?)",
                        (
                            job_id,
                            kind,
                            task_id,
                            now,
                            signature,
                            json.dumps(dict(params or {})),
                            self._owner,
                            now,
                        ),
                    )
        except BaseException as error:
            self._forget(job_id)
            if isinstance(error, sqlite3.IntegrityError):
                raise WorkspaceError("the task has been deleted; open another task") from error
            raise
        if live is not None:
            self._forget(job_id)
            return self._require(live["id"])
        with self._lock:
            lane = self._lanes.get(kind)
            if lane is None:
                lane = self._lanes[kind] = ThreadPoolExecutor(1, thread_name_prefix=f"medmeta-{kind}")
            if self._idle.is_set():
                self._idle.clear()
                threading.Thread(target=self._beat, name="medmeta-beat", daemon=True).start()
        lane.submit(self._run, job_id, work)
        return self._require(job_id)

    def find(self, job_id: str) -> Job | None:
        self._mark_orphans()
        with self._store.database.read() as connection:
            row = connection.execute("SELECT * FROM job WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _job_of(row)

    def jobs(self, task_id: str, kind: str) -> list[Job]:
        """All jobs of this kind for a task, the latest first."""
        self._mark_orphans()
        with self._store.database.read() as connection:
            rows = connection.execute(
                "SELECT * FROM job WHERE task_id = ? AND kind = ? ORDER BY created DESC", (task_id, kind)
            ).fetchall()
        return [_job_of(row) for row in rows]

    def cancel(self, job_id: str) -> None:
        """Ask a job to stop; it does so at its next sign of progress. Another process's job too."""
        with self._store.database.write() as connection:
            connection.execute("UPDATE job SET cancel = 1 WHERE id = ?", (job_id,))
        with self._lock:
            event = self._cancels.get(job_id)
        if event is not None:
            event.set()

    def result(self, job: Job) -> Path:
        """Folder with what the job wrote.

        Raises:
            WorkspaceError: the job is not done, or its folder is gone.
        """
        folder = self._store.runs / job.id
        if job.state != "done" or not folder.is_dir():
            raise WorkspaceError("the result of this run is no longer on the disk; run it again")
        return folder

    def wait(self, job_id: str, timeout: float = 60.0) -> Job:
        """Block until the job has ended; for tests and scripts.

        Raises:
            TimeoutError: it is still at work after ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while True:
            job = self._require(job_id)
            if not job.live:
                return job
            if time.monotonic() > end:
                raise TimeoutError(f"the job is still {job.state} after {timeout:.0f} s")
            time.sleep(0.02)

    def close(self) -> None:
        """Stop all jobs of this runner and wait for their threads."""
        with self._lock:
            events, lanes = list(self._cancels.values()), list(self._lanes.values())
        for event in events:
            event.set()
        for lane in lanes:
            lane.shutdown(wait=True, cancel_futures=False)

    def _run(self, job_id: str, work: Work) -> None:
        part = self._store.runs / f"{job_id}.part"
        cancel = self._cancels[job_id]
        try:
            if cancel.is_set():
                raise CancelledError("stopped before it began")
            self._write(job_id, "state = 'running', started = ?, message = 'Starting'", time.time())
            part.mkdir(mode=0o700)
            work(part, self._progress(job_id, cancel))
            part.rename(self._store.runs / job_id)
            self._end(job_id, "done", 1.0, None)
        except CancelledError:
            self._end(job_id, "cancelled", None, None)
        except MedMetaError as error:
            self._end(job_id, "failed", None, str(error))
        except Exception as error:  # the thread's outermost frame: the person must learn of anything
            if _process_ends(error):
                self._end(job_id, "interrupted", None, None)
            else:
                self._fail(job_id, error)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        with self._lock:
            self._cancels.pop(job_id, None)
            if not self._cancels:
                self._idle.set()

    def _fail(self, job_id: str, error: Exception) -> None:
        """Keep an unforeseen error: types and places only, for a library may quote file content in its text."""
        places = " < ".join(
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in reversed(traceback.extract_tb(error.__traceback__))
        )
        LOG.error("job of kind %s failed: %s at %s", self._kind(job_id), type(error).__name__, places)
        self._end(
            job_id,
            "failed",
            None,
            f"an unexpected error of type {type(error).__name__}; the log of the workbench names the "
            "place. Try again; if it comes back, report it with that log line",
        )

    def _progress(self, job_id: str, cancel: threading.Event) -> Progress:
        last = 0.0

        def progress(fraction: float, message: str) -> None:
            nonlocal last
            if cancel.is_set():
                raise CancelledError("stopped by a person")
            now = time.monotonic()
            if now - last < _WRITE_EVERY and fraction < 1.0:
                return
            last = now
            done = min(max(float(fraction), 0.0), 1.0)
            with self._store.database.write() as connection:
                row = connection.execute(
                    "UPDATE job SET fraction = ?, message = ? WHERE id = ? RETURNING cancel",
                    (done, message, job_id),
                ).fetchone()
            if row is None or row["cancel"]:  # no row: the task was deleted meanwhile
                raise CancelledError("stopped by a person")

        return progress

    def _end(self, job_id: str, state: str, fraction: float | None, error: str | None) -> None:
        self._write(
            job_id,
            "state = ?, finished = ?, error = ?, fraction = COALESCE(?, fraction)",
            state,
            time.time(),
            error,
            fraction,
        )
        if state == "done" and self._kind(job_id) is None:
            shutil.rmtree(self._store.runs / job_id, ignore_errors=True)

    def _write(self, job_id: str, assignments: str, *values: object) -> None:
        with self._store.database.write() as connection:
            connection.execute(
                f"UPDATE job SET {assignments} WHERE id = ?",  # noqa: S608 - fixed texts of this class
                (*values, job_id),
            )

    def _kind(self, job_id: str) -> str | None:
        with self._store.database.read() as connection:
            row = connection.execute("SELECT kind FROM job WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else str(row["kind"])

    def _beat(self) -> None:
        while not self._idle.wait(_BEAT_EVERY):
            try:
                with self._store.database.write() as connection:
                    connection.execute(
                        "UPDATE job SET beat = ? WHERE owner = ? AND state IN ('queued', 'running')",
                        (time.time(), self._owner),
                    )
            except sqlite3.Error as error:  # a full disk, a locked file: the next beat may get through
                LOG.warning("no sign of life could be written: %s", type(error).__name__)

    def _mark_orphans(self) -> None:
        """Mark live jobs of dead processes, and own ones whose end could not be written."""
        with self._store.database.read() as connection:
            rows = connection.execute(
                "SELECT id, owner, beat FROM job WHERE state IN ('queued', 'running')"
            ).fetchall()
        dead = [row for row in rows if self._is_dead(row)]
        if not dead:
            return
        with self._store.database.write() as connection:
            for row in dead:
                connection.execute(
                    "UPDATE job SET state = 'interrupted', finished = ? WHERE id = ? AND beat = ? "
                    "AND state IN ('queued', 'running')",
                    (time.time(), row["id"], row["beat"]),
                )
        for row in dead:
            shutil.rmtree(self._store.runs / f"{row['id']}.part", ignore_errors=True)

    def _is_dead(self, row: sqlite3.Row) -> bool:
        if row["owner"] == self._owner:
            with self._lock:
                return row["id"] not in self._cancels
        return time.time() - row["beat"] > _DEAD_AFTER or not _alive(row["owner"])

    def _require(self, job_id: str) -> Job:
        job = self.find(job_id)
        if job is None:
            raise WorkspaceError("this job no longer exists; its task has been deleted")
        return job


def _process_ends(error: Exception) -> bool:
    """Whether a job broke off because the workbench is being stopped: Python then starts no more threads."""
    return isinstance(error, RuntimeError) and "interpreter shutdown" in str(error)


def _alive(owner: str) -> bool:
    """Whether the process behind an owner may still live; on Windows only its sign of life tells."""
    pid = owner.partition("-")[0]
    if os.name != "posix" or not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _job_of(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        task_id=row["task_id"],
        state=row["state"],
        fraction=row["fraction"],
        message=row["message"],
        created=row["created"],
        started=row["started"],
        finished=row["finished"],
        error=row["error"],
        signature=row["signature"],
        params=json.loads(row["params"]),
    )
