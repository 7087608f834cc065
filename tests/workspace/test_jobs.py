"""Jobs: how they end, what a second click finds, what a dead process leaves behind."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from medmeta.errors import TaskError
from medmeta.workspace import jobs as jobs_module
from medmeta.workspace.jobs import JobRunner
from medmeta.workspace.records import WorkspaceError


@pytest.fixture
def task_id(store):
    return store.create_task("t")


def write_result(out, progress):
    progress(0.5, "half")
    (out / "result.txt").write_text("done")
    progress(1.0, "all read")


def test_done_job_has_its_folder_and_last_message(runner, task_id, store):
    job = runner.wait(runner.submit("adapt", task_id, write_result, {"run": "x"}).id)
    assert (job.state, job.fraction, job.message, job.error) == ("done", 1.0, "all read", None)
    assert (runner.result(job) / "result.txt").read_text() == "done"
    assert job.params == {"run": "x"}
    assert job.signature == store.signature(task_id)
    assert job.created <= job.started <= job.finished
    assert JobRunner(store).find(job.id) == job


def test_second_click_finds_the_same_job_and_cancel_stops_it(runner, task_id):
    begun = threading.Event()

    def endless(out, progress):
        while True:
            begun.set()
            progress(0.1, "still at it")
            time.sleep(0.01)

    first = runner.submit("adapt", task_id, endless)
    assert begun.wait(10)
    assert runner.submit("adapt", task_id, write_result).id == first.id
    assert runner.submit("intake", task_id, write_result).id != first.id
    runner.cancel(first.id)
    job = runner.wait(first.id)
    assert (job.state, job.error) == ("cancelled", None)
    assert list(runner._store.runs.glob(f"{first.id}*")) == []
    assert runner.submit("adapt", task_id, write_result).id != first.id


def test_queued_job_can_be_cancelled(runner, store, task_id):
    gate = threading.Event()
    other = store.create_task("other")

    def wait_for_gate(out, progress):
        assert gate.wait(10)

    runner.submit("adapt", task_id, wait_for_gate)
    queued = runner.submit("adapt", other, write_result)
    assert queued.state == "queued"
    runner.cancel(queued.id)
    gate.set()
    assert runner.wait(queued.id).state == "cancelled"


def test_cancel_from_another_runner_is_seen(runner, store, task_id):
    begun = threading.Event()

    def endless(out, progress):
        while True:
            begun.set()
            progress(0.1, "still at it")
            time.sleep(0.02)

    job = runner.submit("adapt", task_id, endless)
    assert begun.wait(10)
    JobRunner(store).cancel(job.id)
    assert runner.wait(job.id).state == "cancelled"


def test_our_errors_are_shown_as_they_are(runner, task_id):
    def fail(out, progress):
        raise TaskError("no scan is labelled b; label one")

    job = runner.wait(runner.submit("adapt", task_id, fail).id)
    assert (job.state, job.error) == ("failed", "no scan is labelled b; label one")
    with pytest.raises(WorkspaceError):
        runner.result(job)


def test_other_errors_never_show_their_text(runner, task_id, caplog):
    def fail(out, progress):
        raise RuntimeError("PHI-CANARY Jane Doe")

    with caplog.at_level(logging.ERROR):
        job = runner.wait(runner.submit("adapt", task_id, fail).id)
    assert "RuntimeError" in job.error
    assert "PHI-CANARY" not in job.error
    assert "PHI-CANARY" not in caplog.text
    assert "test_jobs.py" in caplog.text


def test_progress_is_throttled_but_the_end_is_written(runner, task_id, store):
    written = []

    def busy(out, progress):
        for number in range(2000):
            progress(number / 2000, f"step {number}")
        progress(1.0, "the end")
        with store.database.read() as connection:
            written.append(connection.execute("SELECT total_changes()").fetchone()[0])

    start = time.monotonic()
    job = runner.wait(runner.submit("adapt", task_id, busy).id)
    assert time.monotonic() - start < 5
    assert job.message == "the end"


def test_job_of_a_stopping_process_is_interrupted(store, task_id):
    code = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from medmeta.workspace.jobs import JobRunner
from medmeta.workspace.store import Store

def work(out, progress):
    while True:  # as a learner does, ask for threads again and again
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(time.sleep, [0.01] * 4))
        progress(0.5, "at work")

runner = JobRunner(Store(Path(sys.argv[1])))
job = runner.submit("adapt", sys.argv[2], work)
while runner.find(job.id).state != "running":
    time.sleep(0.01)
print(job.id)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.root), task_id],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    job = JobRunner(store).find(done.stdout.strip())
    assert (job.state, job.error) == ("interrupted", None)


def test_job_of_a_dead_process_is_interrupted(store, task_id):
    code = (
        "import sys, time, pathlib\n"
        "from medmeta.workspace.store import Store\nfrom medmeta.workspace.jobs import JobRunner\n"
        "store = Store(pathlib.Path(sys.argv[1])); runner = JobRunner(store)\n"
        "def work(out, progress):\n    while True:\n        progress(0.3, 'at work'); time.sleep(0.05)\n"
        "print(runner.submit('adapt', sys.argv[2], work).id, flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(store.root), task_id],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        job_id = child.stdout.readline().strip()
        here = JobRunner(store)
        assert here.find(job_id).live  # the other process lives: its job is left alone
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    job = JobRunner(store).find(job_id)
    assert job.state == "interrupted"
    assert not (store.runs / f"{job_id}.part").exists()
    again = JobRunner(store)
    assert again.wait(again.submit("adapt", task_id, write_result).id).state == "done"
    again.close()


def test_silent_owner_is_taken_for_dead(store, task_id, runner):
    with store.database.write() as connection:
        connection.execute(
            "INSERT INTO job (id, kind, task_id, state, created, owner, beat) "
            "VALUES ('old', 'adapt', ?, 'running', 0, ?, ?)",
            (task_id, f"{os.getpid()}-other", time.time() - 60),
        )
    assert runner.find("old").state == "interrupted"


def test_a_running_job_gives_signs_of_life(store, task_id, runner):
    gate = threading.Event()
    job = runner.submit("adapt", task_id, lambda out, progress: gate.wait(10) and None)

    def beat():
        with store.database.read() as connection:
            return connection.execute("SELECT beat FROM job WHERE id = ?", (job.id,)).fetchone()[0]

    start = beat()
    end = time.monotonic() + 5
    while beat() == start and time.monotonic() < end:
        time.sleep(0.1)
    assert beat() > start
    gate.set()


def test_deleting_the_task_stops_its_job(runner, store, task_id):
    begun = threading.Event()

    def endless(out, progress):
        while True:
            begun.set()
            progress(0.1, "still at it")
            time.sleep(0.02)

    job = runner.submit("adapt", task_id, endless)
    assert begun.wait(10)
    store.delete_task(task_id)
    runner.close()
    assert runner.find(job.id) is None
    assert list(store.runs.iterdir()) == []
    with pytest.raises(WorkspaceError, match="deleted"):
        JobRunner(store).submit("adapt", task_id, write_result)


def test_jobs_are_listed_latest_first(runner, task_id):
    ids = []
    for _ in range(3):
        ids.append(runner.wait(runner.submit("adapt", task_id, write_result).id).id)
    assert [job.id for job in runner.jobs(task_id, "adapt")] == ids[::-1]
    assert runner.jobs(task_id, "predict") == []
    assert len({len(job_id) >= 12 for job_id in ids}) == 1


def test_a_job_whose_end_could_not_be_written_is_interrupted_and_can_be_started_again(
    runner, task_id, monkeypatch
):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "_end", full)
        first = runner.submit("adapt", task_id, write_result)
        assert runner.wait(first.id).state == "interrupted"
    again = runner.submit("adapt", task_id, write_result)
    assert again.id != first.id
    assert runner.wait(again.id).state == "done"


def test_signs_of_life_go_on_after_one_that_could_not_be_written(store, task_id, runner, monkeypatch):
    monkeypatch.setattr(jobs_module, "_BEAT_EVERY", 0.05)
    release = threading.Event()
    write, failures = store.database.write, []

    @contextmanager
    def locked():
        if threading.current_thread().name == "medmeta-beat" and not failures:
            failures.append(1)
            raise sqlite3.OperationalError("database is locked")
        with write() as connection:
            yield connection

    monkeypatch.setattr(store.database, "write", locked)
    job = runner.submit("adapt", task_id, lambda out, progress: release.wait(20))
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with store.database.read() as connection:
            beat = connection.execute("SELECT beat FROM job WHERE id = ?", (job.id,)).fetchone()["beat"]
        if failures and beat > job.created:
            break
        time.sleep(0.02)
    release.set()
    assert failures
    assert beat > job.created
    assert runner.wait(job.id).state == "done"
