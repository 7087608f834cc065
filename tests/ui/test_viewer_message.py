"""What the browser is told: every value as it is, frames in bounded runs, large ones thinned, nothing identifying."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from medmeta.errors import MedMetaError
from medmeta.scans.display import default_window
from medmeta.scans.scan import Scan, VoiTable
from medmeta.scans.series import Stack
from medmeta.ui import viewer_message
from medmeta.ui.viewer_message import Labelling, Pane, message, presets
from medmeta.workspace.records import Entry
from medmeta.workspace.volumes import Volume


def entry(number: int, scan: Scan) -> Entry:
    return Entry(
        number, "t", scan.id, scan.file, "a", "P-1", "PatientID", "support", scan.modality, scan.rows, scan.columns,
        scan.frames, None, (), dict(scan.tags), "P-s", False,
    )  # fmt: skip


def pane(*scans: Scan, along=None, used=0) -> Pane:
    entries = [entry(number, scan) for number, scan in enumerate(scans, start=1)]
    places = tuple(along or [None] * len(scans))
    volume = Volume(tuple(entries), Stack(tuple(range(len(scans))), places), (entries[used],), "central")
    by_id = {each.id: scan for each, scan in zip(entries, scans, strict=True)}
    return Pane(volume, scans[used], lambda each: by_id[each.id])


def unpacked(data: bytes):
    (size,) = struct.unpack("<I", data[:4])
    assert size % 4 == 0
    header, body = json.loads(data[4 : 4 + size]), data[4 + size :]
    for frame in header["frames"]:
        shape = (frame["rows"], frame["columns"], *((3,) if frame["colour"] else ()))
        kind = np.dtype(frame["dtype"])
        assert frame["offset"] % 4 == 0
        frame["values"] = np.frombuffer(body, kind, int(np.prod(shape)), frame["offset"]).reshape(shape)
        if frame["table"]:
            table = frame["table"]
            frame["shades"] = body[table["offset"] : table["offset"] + table["length"]]
    return header


@pytest.mark.parametrize("kind", ["<u1", "<u2", "<i2", "<u4", "<i4", "<f4", ">i2"])
def test_values_arrive_as_they_are(kind):
    pixels = (np.arange(30).reshape(1, 5, 6) * 3).astype(kind)
    scan = Scan("f", pixels, "g", tags={"Modality": "CT", "PixelSpacing": "0.5\\0.25"}, unit="HU")
    header = unpacked(message([pane(scan)], {}, height=300)[0])
    (frame,) = header["frames"]
    np.testing.assert_array_equal(frame["values"], pixels[0])
    assert frame["window"] == list(default_window(scan))
    (shown,) = header["panes"]
    assert (shown["unit"], shown["spacing"], shown["aspect"]) == ("HU", [0.5, 0.25], 2.0)
    assert shown["text"] == "CT scan of 6 by 5 pixels."


def test_other_pixels_in_the_middle_of_a_series_are_another_scan_and_a_mark_is_not():
    slices = [Scan(f"{n}", np.full((1, 2, 2), n, np.int16), "g", tags={"Modality": "CT"}) for n in range(3)]
    first = pane(*slices, used=1)
    blanked = Scan("1", np.zeros((1, 2, 2), np.int16) - 5, "g", tags={"Modality": "CT"})
    assert pane(slices[0], blanked, slices[2], used=0).id != first.id
    marked = replace(
        first.volume, entries=tuple(replace(each, marked=True, label="b") for each in first.volume.entries)
    )
    assert Pane(marked, first.central, first.load).id == first.id


def test_colour_and_a_voi_table_arrive_too():
    colour = Scan("f", np.arange(36, dtype=np.uint8).reshape(1, 3, 4, 3), "g")
    table = Scan("f", np.zeros((1, 2, 2), np.uint16), "g", voi_table=VoiTable(7, bytes([0, 9, 255])))
    one, two = unpacked(message([pane(colour), pane(table)], {}, height=300)[0])["frames"]
    np.testing.assert_array_equal(one["values"], colour.pixels[0])
    assert one["window"] is None
    assert (two["table"]["first"], two["shades"]) == (7, bytes([0, 9, 255]))


def test_a_run_of_frames_within_the_budget_is_sent_around_what_is_looked_at(monkeypatch):
    monkeypatch.setattr(viewer_message, "MESSAGE_BYTES", 4 * 32)
    scan = Scan("f", np.arange(10 * 16, dtype=np.uint16).reshape(10, 4, 4), "g")
    shown = pane(scan)
    assert (shown.chunk, shown.length) == (4, 10)
    sent = {}
    for want in ({}, {shown.id: 0}, {shown.id: 9}, {shown.id: 10**9}, {shown.id: "x"}, {shown.id: -4}):
        data, _ = message([shown], want, height=300)
        sent[str(want)] = [frame["index"] for frame in unpacked(data)["frames"]]
        assert data == message([shown], want, height=300)[0]  # equal bytes, which are not sent twice
    run = [[4, 5, 6, 7], [0, 1, 2, 3], [8, 9], [8, 9], [4, 5, 6, 7], [0, 1, 2, 3]]
    assert list(sent.values()) == run


def test_a_large_scan_is_thinned_and_says_so(monkeypatch):
    monkeypatch.setattr(viewer_message, "FRAME_BYTES", 1000)
    pixels = np.arange(40 * 61, dtype=np.uint16).reshape(1, 40, 61)
    shown = pane(Scan("f", pixels, "g"))
    header = unpacked(message([shown], {}, height=300)[0])
    (frame,) = header["frames"]
    assert header["panes"][0]["stride"] == 3
    assert (header["panes"][0]["rows"], header["panes"][0]["columns"]) == (40, 61)
    np.testing.assert_array_equal(frame["values"], pixels[0, ::3, ::3])


def test_slices_of_a_series_come_with_their_places_and_one_brightness():
    slices = [
        Scan(f"f{n}", np.full((1, 4, 4), 10 * n, np.int16) + np.arange(4, dtype=np.int16), "g")
        for n in range(3)
    ]
    windowed = Scan("w", slices[0].pixels + 1, "g", window=(3.0, 9.0))
    header = unpacked(
        message([pane(*slices, windowed, along=[0.0, 2.0, 4.0, 6.0], used=1)], {}, height=300)[0]
    )
    (shown,) = header["panes"]
    assert shown["places"] == [0, 2, 4, 6]
    assert shown["used"] == [False, True, False, False]
    assert shown["start"] == 1
    windows = [frame["window"] for frame in header["frames"]]
    assert windows == [list(default_window(slices[1]))] * 3 + [[3.0, 9.0]]


def test_a_lost_slice_leaves_the_others():
    slices = [Scan(f"f{n}", np.full((1, 4, 4), n, np.int16), "g") for n in range(3)]
    whole = pane(*slices)

    def load(each: Entry) -> Scan:
        if each.id == 2:
            raise MedMetaError("f1: its stored pixels are missing")
        return whole.load(each)

    data, problems = message([Pane(whole.volume, whole.central, load)], {}, height=300)
    assert [frame["index"] for frame in unpacked(data)["frames"]] == [0, 2]
    assert problems == ["f1: its stored pixels are missing"]


def test_presets_are_those_of_the_number_keys():
    assert [preset["name"] for preset in presets()] == [
        "As stored", "Soft tissue", "Lung", "Liver", "Bone", "Brain",
    ]  # fmt: skip
    assert presets()[2] == {"name": "Lung", "window": [-600.0, 1500.0], "unit": "HU"}


def test_the_mark_and_the_label_do_not_change_what_a_scan_is_called():
    slices = [Scan(f"f{n}", np.full((1, 4, 4), n, np.int16), "g") for n in range(3)]
    assert pane(*slices).id == pane(*slices, used=2).id
    labelling = Labelling((("a", "a", 3),), "a", "3 scans: label “a”")
    header = unpacked(message([pane(*slices)], {}, height=300, labelling=labelling)[0])
    assert header["labelling"]["classes"] == [{"name": "a", "key": "a", "count": 3, "chosen": True}]
