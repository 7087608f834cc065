"""What a scan tells beside its pixels survives the database; rows of earlier versions stay readable."""

from __future__ import annotations

import dataclasses
import json
import sqlite3

import numpy as np
import pytest

from medmeta.scans.scan import Scan, VoiTable
from medmeta.workspace.blobs import BlobStore
from medmeta.workspace.entries import meta_of, scan_of, thumbnail_variant

PLAIN = Scan("a", np.arange(12, dtype=np.int16).reshape(1, 3, 4), "a", window=(1.0, 2.0))
FULL = dataclasses.replace(
    PLAIN,
    window_function="SIGMOID",
    voi_table=VoiTable(-3, bytes([0, 255])),
    padding=(0.0, 2.5),
    monochrome1=True,
    series="P-0123456789",
)


@pytest.fixture
def blobs(tmp_path) -> BlobStore:
    made = BlobStore(tmp_path)
    made.put_pixels(PLAIN.id, PLAIN.pixels)
    return made


def row(scan: Scan, meta: dict) -> sqlite3.Row:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    fields = (scan.id, scan.file, scan.group, scan.group_source, scan.series, json.dumps(meta))
    names = "SELECT ? scan_id, ? file, ? grp, ? group_source, ? series, ? meta"
    return connection.execute(names, fields).fetchone()


@pytest.mark.parametrize("scan", [PLAIN, FULL])
def test_every_field_comes_back(scan: Scan, blobs: BlobStore) -> None:
    back = scan_of(row(scan, meta_of(scan)), blobs)
    for field in dataclasses.fields(scan):
        if field.name != "pixels":
            assert getattr(back, field.name) == getattr(scan, field.name), field.name


def test_a_row_without_the_newer_fields(blobs: BlobStore) -> None:
    meta = meta_of(PLAIN)
    for word in ("window_function", "voi_table", "padding"):
        del meta[word]
    back = scan_of(row(PLAIN, meta), blobs)
    assert (back.window_function, back.voi_table, back.padding) == ("LINEAR", None, None)
    assert thumbnail_variant(meta) == thumbnail_variant(meta_of(PLAIN))


def test_each_way_to_show_has_a_thumbnail_of_its_own() -> None:
    ways = [
        PLAIN,
        FULL,
        *(
            dataclasses.replace(FULL, **{word: value})
            for word, value in (
                ("window_function", "LINEAR"),
                ("voi_table", None),
                ("padding", None),
                ("window", None),
                ("monochrome1", False),
            )
        ),
    ]
    assert len({thumbnail_variant(meta_of(way)) for way in ways}) == len(ways)
