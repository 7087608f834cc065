"""The decoding process: same answers as in process, and no file takes the program with it."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from dicom_files import KEY, dataset, dicom, encoded, gradient
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medmeta.errors import ScanRejectedError
from medmeta.scans.intake import iter_intake, read_source
from medmeta.scans.isolate import Isolated
from medmeta.scans.limits import GIB, MIB, Limits
from medmeta.scans.reader import in_process
from medmeta.scans.scan import LabelledScan, Rejection, VoiTable


def test_isolated_equals_in_process(shared_data) -> None:
    for name in ("kermany_cxr_dicom", "lc25000_lung_dicom"):
        source = shared_data / "dicom" / f"{name}.zip"
        ours, theirs = read_source(source, key=KEY), read_source(source, key=KEY, reader=in_process())
        assert len(ours.accepted) == len(theirs.accepted) > 70
        for one, two in zip(ours.accepted, theirs.accepted, strict=True):
            np.testing.assert_array_equal(one.scan.pixels, two.scan.pixels)
            for field in dataclasses.fields(one.scan):
                if field.name != "pixels":
                    assert getattr(one.scan, field.name) == getattr(two.scan, field.name)


def test_refusals_come_across_and_the_process_stays() -> None:
    with Isolated() as isolated:
        with pytest.raises(ScanRejectedError, match="cut short"):
            isolated.read(dicom(gradient())[:-100], "IM1", KEY)
        first = isolated._process
        scan = isolated.read(dicom(gradient(), PixelSpacing=[0.5, 0.25]), "IM2", KEY)
        assert isolated._process is first
        assert scan.tags["PixelSpacing"] == "0.5\\0.25"
        assert scan.file == "IM2"
    assert first is not None
    assert first.handle.poll() is not None


def test_what_decides_the_picture_comes_across() -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [3, 0, 8], [200, 9, 70]
    made = dataset(gradient(kind="<u2"), PixelPaddingValue=7, VOILUTSequence=Sequence([table]))
    made.VOILUTSequence[0]["LUTDescriptor"].VR = made.VOILUTSequence[0]["LUTData"].VR = "US"
    made.WindowCenter, made.WindowWidth, made.VOILUTFunction = 5, 6, "SIGMOID"
    with Isolated() as isolated:
        scan = isolated.read(encoded(made), "IM1", KEY)
    assert (scan.padding, scan.window, scan.window_function) == ((7.0, 7.0), (5.0, 6.0), "SIGMOID")
    assert scan.voi_table == VoiTable(0, bytes([200, 9, 70]))


def test_too_slow_is_stopped_and_the_next_file_is_read() -> None:
    big = dicom(np.zeros((4, 2000, 2000), "<u2"))
    with Isolated(Limits(decode_seconds=0.02)) as isolated:
        start = time.perf_counter()
        with pytest.raises(ScanRejectedError, match=r"longer than 0\.02 seconds"):
            isolated.read(big, "slow", KEY)
        assert time.perf_counter() - start < 10


def test_a_dead_process_refuses_one_file_only() -> None:
    with Isolated() as isolated:
        isolated.read(dicom(gradient()), "IM1", KEY)
        process = isolated._process
        assert process is not None
        os.kill(process.handle.pid, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (process.handle.pid, signal.SIGKILL)).start()
        with pytest.raises(ScanRejectedError, match="stopped the decoder"):
            isolated.read(dicom(np.zeros((300, 300), "<u2")), "IM2", KEY)
        assert isolated.read(dicom(gradient()), "IM3", KEY).file == "IM3"


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux")
def test_memory_is_limited() -> None:
    huge = dicom(np.zeros((8, 3000, 3000), "<u2"), RescaleSlope=0.5, RescaleIntercept=0)
    with Isolated(Limits(worker_bytes=GIB // 2 + 200 * MIB)) as isolated:
        with pytest.raises(ScanRejectedError, match="memory"):
            isolated.read(huge, "huge", KEY)
        assert isolated.read(dicom(gradient()), "IM2", KEY).rows == 24


def test_intake_closes_its_process() -> None:
    uploads = [("a/1", dicom(gradient())), ("a/2", b"nothing"), ("b/3", dicom(gradient() + 1))]
    found = list(iter_intake(uploads, key=KEY))
    assert [type(item) for item in found[:3]] == [LabelledScan, Rejection, LabelledScan]


def test_the_process_starts_fast_and_without_torch() -> None:
    root = Path(__file__).resolve().parents[2]
    code = "import sys, medmeta.scans.worker; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'streamlit')))"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert done.returncode == 0
    assert time.perf_counter() - start < 5
