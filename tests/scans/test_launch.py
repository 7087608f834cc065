"""Processes forked from one: each confined and alone with its pipes, replaced by a fresh one, none left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from dicom_files import KEY, dicom, gradient

from medmeta.errors import MedMetaError, ScanRejectedError
from medmeta.scans.launch import ForkServer, Started
from medmeta.scans.limits import GIB, Limits
from medmeta.scans.pool import Pool
from medmeta.scans.wire import receive, send

pytestmark = pytest.mark.skipif(not ForkServer.supported(), reason="processes are forked on Linux alone")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def is_gone(pid: int) -> bool:
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def handles(pool: Pool) -> list[int]:
    return [each._process.handle.pid for each in pool._all if each._process is not None]


def read_all(pool: Pool, count: int) -> list[str]:
    futures = [pool.submit(dicom(gradient() + n), f"{n}", KEY) for n in range(count)]
    return [future.result(60).file for future in futures]


def test_processes_are_siblings_and_none_outlives_the_pool() -> None:
    with Pool(size=3) as pool:
        assert read_all(pool, 9) == [f"{n}" for n in range(9)]
        pids = handles(pool)
        server = {parent(pid) for pid in pids}
        assert len(set(pids)) == 3
        assert len(server) == 1
        assert server != {os.getpid()}
    assert all(is_gone(pid) for pid in (*pids, *server))


def test_a_stopped_one_is_followed_by_a_process_of_its_own() -> None:
    with Pool(size=2) as pool:
        read_all(pool, 4)
        victim, other = handles(pool)
        os.kill(victim, signal.SIGKILL)
        while pool._all[0]._process.handle.poll() is None:
            time.sleep(0.01)
        assert pool._all[0].read(dicom(gradient()), "next", KEY).file == "next"
        fresh, same = handles(pool)
        assert (same, parent(fresh)) == (other, os.getpid())


def test_each_is_confined_and_alone_with_its_pipes() -> None:
    with Pool(Limits(worker_bytes=3 * GIB), size=2) as pool:
        read_all(pool, 4)
        ends = []
        for pid in handles(pool):
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            held = {line[:25].strip(): line[26:].split()[0] for line in limits[1:]}
            assert held["Max address space"] == str(3 * GIB)
            assert (held["Max file size"], held["Max core file size"], held["Max open files"]) == (
                "0",
                "0",
                "64",
            )
            links = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
            ends.append({link for link in links if link != "/dev/null"})
            assert not any("MEDMETA" in word for word in Path(f"/proc/{pid}/environ").read_text().split("\0"))
        assert [len(each) for each in ends] == [2, 2]
        assert not ends[0] & ends[1]


def test_a_file_that_takes_too_long_stops_a_forked_process_too() -> None:
    late = pytest.raises(ScanRejectedError, match=r"longer than 0\.02 seconds")
    with Pool(Limits(decode_seconds=0.02), size=2) as pool, late:
        pool.submit(dicom(np.zeros((4, 2000, 2000), "<u2")), "slow", KEY).result(60)


def test_no_more_are_given_than_were_asked_for_and_closing_twice_is_allowed() -> None:
    server = ForkServer(1)
    first = server.take()
    assert isinstance(first, Started)
    assert first.handle.poll() is None
    send(first.stdin, {"limits": {}})
    assert receive(first.stdout, 0)[0]["ready"] is True
    assert server.take() is None
    first.end()
    assert first.handle.poll() == 0
    first.handle.kill()  # of a process that is gone: nothing
    server.close()
    server.close()
    assert server.take() is None


def test_a_server_that_nobody_asked_for_a_process_ends_at_once() -> None:
    server = ForkServer(2)
    server.begin()
    process = server._server
    assert process is not None
    assert process.poll() is None
    start = time.monotonic()
    server.close()
    assert process.poll() is not None
    assert time.monotonic() - start < 0.2  # it need not finish loading
    assert server.take() is None


def test_where_nothing_can_be_forked_each_is_started_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise PermissionError("no pidfd here")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with Pool(size=2) as pool:
        assert read_all(pool, 4) == ["0", "1", "2", "3"]
        assert {parent(pid) for pid in handles(pool)} == {os.getpid()}


def test_a_broken_python_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Pool(size=2) as pool, pytest.raises(MedMetaError, match="could not be started"):
        pool.submit(dicom(gradient()), "IM1", KEY).result(60)
