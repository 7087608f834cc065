"""Several decoding processes: order, a file that stops its process, memory that waits, an end in mid-file."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from dicom_files import KEY, dicom, gradient

from medmeta.errors import CancelledError, ScanRejectedError
from medmeta.scans import pool as pool_module
from medmeta.scans.intake import iter_intake
from medmeta.scans.isolate import Isolated
from medmeta.scans.limits import Limits
from medmeta.scans.pool import Pool, PoolClosedError, _Room, at_once, run_ahead
from medmeta.scans.scan import LabelledScan, Rejection


def test_scans_come_in_the_order_of_the_files() -> None:
    uploads = [(f"{n:02d}", dicom(gradient() + n)) for n in range(23)]
    uploads[3] = ("03", b"nothing that is a scan")
    uploads[7] = ("07", dicom(gradient())[:-50])
    found = list(iter_intake(uploads, key=KEY))[:23]
    assert [item.file if isinstance(item, Rejection) else item.scan.file for item in found] == [
        name for name, _ in uploads
    ]
    assert [isinstance(item, Rejection) for item in found] == [n in (3, 7) for n in range(23)]
    for n, item in enumerate(found):
        if isinstance(item, LabelledScan):
            np.testing.assert_array_equal(item.scan.pixels[0], gradient() + n)


def test_a_process_that_is_stopped_loses_one_file_only() -> None:
    with Pool(size=2) as pool:
        futures = [pool.submit(dicom(gradient() + n), f"{n}", KEY) for n in range(3)]
        assert [future.result().file for future in futures] == ["0", "1", "2"]
        for each in pool._all:
            assert each._process is not None
        victim = pool._all[0]
        big = dicom(np.zeros((4, 2000, 2000), "<u2"))
        futures = [pool.submit(big, f"{n}", KEY) for n in range(4, 10)]
        threading.Timer(0.05, victim.kill).start()
        outcomes = [future.exception() for future in futures]
    refused = [each for each in outcomes if each is not None]
    assert len(refused) <= 1
    assert all(isinstance(each, ScanRejectedError) for each in refused)


def test_waiting_scans_stay_within_the_budget_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "WAITING_BYTES", gradient().nbytes - 1)
    with Pool(size=2) as pool:
        futures = [pool.submit(dicom(gradient() + n), f"{n}", KEY) for n in range(2)]
        futures[0].result(30)
        time.sleep(1.0)
        assert not futures[1].done()
        assert sum(pool._room._held.values()) == gradient().nbytes
        pool.took(futures[0])
        assert futures[1].result(30).file == "1"


def test_the_file_whose_turn_it_is_always_gets_in() -> None:
    room = _Room(10)
    room.enter(2, 8)
    room.enter(1, 1000)
    room.leave(1)
    room.leave(2)
    room.enter(4, 10)
    raised = []

    def enter() -> None:
        try:
            room.enter(5, 1)
        except PoolClosedError as problem:
            raised.append(problem)

    waiting = threading.Thread(target=enter)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    room.close()
    waiting.join(5)
    assert len(raised) == 1


def test_a_cancelled_intake_ends_at_once() -> None:
    big = dicom(np.zeros((8, 3000, 3000), "<u2"))

    def stop(fraction: float, message: str) -> None:
        if "2 of" in message:
            raise CancelledError("enough")

    before = threading.active_count()
    with pytest.raises(CancelledError):
        list(iter_intake([(f"{n}", big) for n in range(6)], key=KEY, progress=stop))
    assert threading.active_count() == before


def test_waiting_for_room_does_not_count_as_decoding() -> None:
    with Isolated(Limits(decode_seconds=5.0)) as isolated:
        isolated.read(dicom(gradient()), "warm", KEY)
    limits = Limits(decode_seconds=0.7)
    with Isolated(limits) as isolated:
        scan = isolated.read(dicom(gradient()), "IM1", KEY, admit=lambda size: time.sleep(1.0))
        assert scan.file == "IM1"


def test_run_ahead_draws_no_more_than_it_may() -> None:
    drawn = []

    def items():
        for n in range(5):
            drawn.append(n)
            yield n

    ahead = run_ahead(items(), lambda waiting: waiting >= 3)
    assert next(ahead) == 0
    assert drawn == [0, 1, 2]
    assert list(ahead) == [1, 2, 3, 4]


def test_small_files_go_out_far_ahead_and_large_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    small = dicom(gradient())
    monkeypatch.setattr(pool_module, "AHEAD_BYTES", 3 * len(small))
    with Pool(size=2) as pool:
        assert not pool.has_enough(127)
        assert pool.has_enough(128)
        futures = [pool.submit(small, f"{n}", KEY) for n in range(3)]
        assert not pool.has_enough(15)
        assert pool.has_enough(16)
        for future in futures:
            future.result(60)
            pool.took(future)
        assert not pool.has_enough(127)


def test_a_reader_of_this_process_keeps_its_refusals_for_the_result() -> None:
    def refuse(data: bytes, file: str, key: bytes):
        raise ScanRejectedError(file, "no")

    future = at_once(refuse)(b"", "IM1", KEY)
    with pytest.raises(ScanRejectedError, match="no"):
        future.result()
