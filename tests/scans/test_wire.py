"""Messages of the decoding process: what is packed comes back, and what a captured process may send is refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from medmeta.scans.limits import Limits
from medmeta.scans.scan import Scan, VoiTable
from medmeta.scans.wire import BrokenWireError, pack_scan, unpack_scan

SCAN = Scan(
    "x",
    np.arange(6, dtype=np.int16).reshape(1, 2, 3),
    "g",
    window=(40.0, 400.0),
    window_function="SIGMOID",
    voi_table=VoiTable(-2, bytes([0, 9, 255])),
    padding=(-5.0, 0.5),
)


def sent(**changes: Any) -> Scan:
    header, body = pack_scan(SCAN)
    return unpack_scan({**json.loads(json.dumps(header)), **changes}, bytearray(body), "x", Limits())


def test_everything_comes_back() -> None:
    back = sent()
    np.testing.assert_array_equal(back.pixels, SCAN.pixels)
    for field in dataclasses.fields(Scan):
        if field.name != "pixels":
            assert getattr(back, field.name) == getattr(SCAN, field.name), field.name


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [1, 2, 4]},
        {"dtype": "<f8"},
        {"tags": {"PatientName": "CANARY"}},
        {"window": [1]},
        {"window_function": "CANARY"},
        {"voi_table": [0, ""]},
        {"voi_table": [0, "zz"]},
        {"voi_table": [2**40, "00"]},
        {"voi_table": [0, "00" * (2**16 + 1)]},
        {"padding": "CANARY"},
        {"padding": [1]},
    ],
)
def test_a_part_that_no_reader_writes(changes: dict[str, Any]) -> None:
    with pytest.raises(BrokenWireError):
        sent(**changes)
