"""The hostile benchmark: its mutants are damaged and repeatable, and what goes wrong is counted."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from benchmarks.hostile import MUTATIONS, Tally, mutant, report, run, seeds, take
from medmeta.errors import ScanRejectedError
from medmeta.scans.reader import in_process
from medmeta.scans.scan import Scan


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return seeds()


def test_the_seeds_are_all_read(files: dict[str, bytes]) -> None:
    assert len(files) == 21
    tally = Tally()
    take(list(files.values()), files["volume.nii"], tally, in_process())
    assert (tally.read, tally.refused, tally.failed) == (21, 0, False)


def test_mutants_are_damaged_and_the_same_again(files: dict[str, bytes]) -> None:
    data = files["CT_small.dcm"]
    random = Random(3)
    made = [mutant(data, data, random) for _ in range(50)]
    assert data not in made
    assert len(set(made)) == 50
    random = Random(3)
    assert made == [mutant(data, data, random) for _ in range(50)]


@pytest.mark.parametrize("damage", MUTATIONS)
@pytest.mark.parametrize("size", [1, 3, 5000])
def test_each_damage_takes_files_of_every_length(damage, size: int) -> None:
    for seed in range(20):
        data = bytearray(range(256)) * 20
        data = data[:size]
        damage(data, b"other", Random(seed))


def test_a_hundred_mutants_harm_nothing(files: dict[str, bytes]) -> None:
    tally = run(files, 100, 1, at_once=60)
    assert tally.mutants == tally.refused + tally.read == 100
    assert 0 < tally.longest < 5
    assert not tally.failed
    assert tally.refused > 50


def test_what_goes_wrong_is_counted() -> None:
    def broken(data: bytes, file: str, key: bytes) -> Scan:
        if data == b"II*\0escape":
            raise RuntimeError("out")
        if file.endswith("good"):
            return Scan(file, np.zeros((1, 2, 2), np.uint8), "g")
        raise ScanRejectedError(file, "no")

    def loses(data: bytes, file: str, key: bytes) -> Scan:
        raise ScanRejectedError(file, "stopped the decoder for a good reason")

    tally = Tally()
    take([b"II*\0escape"], b"II*\0", tally, broken)
    assert (tally.escaped, tally.mutants) == (1, 1)
    take([b"II*\0"], b"II*\0", tally, broken)
    assert (tally.without_reason, tally.refused) == (1, 1)
    take([b"II*\0"], b"II*\0", tally, loses)
    assert (tally.good_lost, tally.decoder_stopped) == (1, 1)
    assert tally.failed
    assert "| exceptions that left the intake | 1 | 0 |" in report(tally, 2**20, 2**20)
