"""What the server tells the viewer in the browser: one message of JSON and pixel values, bounded in bytes."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmeta.errors import MedMetaError
from medmeta.scans.display import PRESETS, default_window
from medmeta.scans.orientation import edge_letters, spacing
from medmeta.scans.scan import Scan
from medmeta.workspace.records import Entry
from medmeta.workspace.volumes import Volume

#: Bytes of frames in one message, unless a single frame is larger; and of one frame, beyond which it is thinned.
MESSAGE_BYTES, FRAME_BYTES = 3 * 2**20, 8 * 2**20

_WHY = {
    "marked": "marked: carries the label",
    "labelled one by one": "labelled by itself",
    "central": "stands for the volume",
}


@dataclass(frozen=True)
class Pane:
    """One scan in the viewer.

    Attributes:
        volume: what is shown.
        central: the scan of the file that stands for it; its window is taken where another slice has none.
        load: opens the scan of an entry, pixels memory-mapped.
    """

    volume: Volume
    central: Scan
    load: Callable[[Entry], Scan]

    @property
    def id(self) -> str:
        """Stays the same while marks and labels change, so that window, zoom and place do too.

        Any other pixels make another one: the browser keeps frames under it, and a blanked slice must not show what
        was blanked.
        """
        pixels = "".join(entry.scan_id for entry in self.volume.entries)
        return f"{self.volume.id}-{hashlib.sha256(pixels.encode()).hexdigest()[:16]}"

    @property
    def length(self) -> int:
        return len(self.volume.entries) if self.volume.is_series else self.central.frames

    @property
    def stride(self) -> int:
        """Every which pixel is sent, so that a frame stays within `FRAME_BYTES`."""
        stride, whole = 1, int(self.central.pixels[0].nbytes)
        while whole / stride**2 > FRAME_BYTES:
            stride += 1
        return stride

    @property
    def chunk(self) -> int:
        """Frames a message holds."""
        return max(1, MESSAGE_BYTES * self.stride**2 // int(self.central.pixels[0].nbytes))

    def frame(self, index: int) -> tuple[Scan, int]:
        """The scan that holds a slice or frame, and which of its frames that is."""
        return (self.load(self.volume.entries[index]), 0) if self.volume.is_series else (self.central, index)

    def info(self) -> dict[str, Any]:
        """All that the viewer knows of the scan beside its pixels."""
        volume, scan, series = self.volume, self.central, self.volume.is_series
        used = {entry.id for entry in volume.used}
        known = spacing(scan.tags)
        start = volume.entries.index(volume.key) if series else scan.central_frame
        noun = "Slice" if series else "Frame"
        modality = f"{scan.modality} " if scan.modality else ""
        return {
            "id": self.id,
            "title": f"{volume.key.file.rpartition('/')[2]}\n{volume.label or 'no label'}",
            "text": f"{modality}scan of {scan.columns} by {scan.rows} pixels"
            + (f", {self.length} {noun.lower()}s." if self.length > 1 else "."),
            "noun": noun,
            "length": self.length,
            "chunk": self.chunk,
            "start": start,
            "rows": scan.rows,
            "columns": scan.columns,
            "stride": self.stride,
            "unit": scan.unit,
            "aspect": known[0][0] / known[0][1] if known else 1.0,
            "spacing": list(known[0]) if known else None,
            "spacingWord": " at the detector" if known and known[1] else "",
            "letters": edge_letters(scan.tags),
            "places": list(volume.stack.along) if series else [None] * self.length,
            "marks": [entry.marked for entry in volume.entries] if series else [False] * self.length,
            "used": [entry.id in used for entry in volume.entries]
            if series
            else [self.length > 1 and index == start for index in range(self.length)],
            "usedWord": _WHY.get(volume.why, "") if series else "the frame the model reads",
            "markable": series,
        }


def presets() -> list[dict[str, Any]]:
    """The windows behind the number keys: 0 is the file's own, the rest as in OHIF."""
    own: list[dict[str, Any]] = [{"name": "As stored", "window": None, "unit": ""}]
    return own + [{"name": name, "window": list(window), "unit": "HU"} for name, window in PRESETS.items()]


@dataclass(frozen=True)
class Labelling:
    """The buttons above the picture.

    Attributes:
        classes: name, key and number of scans of each class.
        chosen: the label the scan has.
        undo: what undo would take back; None when nothing.
    """

    classes: tuple[tuple[str, str | None, int], ...]
    chosen: str | None
    undo: str | None

    def info(self) -> dict[str, Any]:
        return {
            "classes": [
                {"name": name, "key": key, "count": number, "chosen": name == self.chosen}
                for name, key, number in self.classes
            ],
            "undo": self.undo,
        }


def message(
    panes: Sequence[Pane], want: Mapping[str, Any], *, height: int, labelling: Labelling | None = None
) -> tuple[bytes, list[str]]:
    """The bytes for the viewer, and why frames are missing, if any are.

    The same panes and wishes give the same bytes, which Streamlit then does not send again.

    Args:
        want: a slice or frame for each pane id; the message holds the run of frames it lies in. Whatever else the
            browser says is ignored.
        height: of the picture, in pixels of the page.
    """
    body = bytearray()
    frames: list[dict[str, Any]] = []
    problems: list[str] = []

    def add(values: NDArray[Any] | bytes) -> int:
        body.extend(b"\0" * (-len(body) % 4))
        start = len(body)
        body.extend(values if isinstance(values, bytes) else values.tobytes())
        return start

    for pane in panes:
        info = pane.info()
        asked = want.get(pane.id, info["start"])
        first = min(max(asked, 0), pane.length - 1) if isinstance(asked, int) else info["start"]
        first -= first % pane.chunk
        for index in range(first, min(first + pane.chunk, pane.length)):
            try:
                scan, number = pane.frame(index)
            except MedMetaError as error:
                problems.append(str(error))
                continue
            frames.append({"pane": pane.id, "index": index, **_frame(pane, scan, number, add)})
    header = {
        "height": height,
        "presets": presets(),
        "labelling": None if labelling is None else labelling.info(),
        "panes": [pane.info() for pane in panes],
        "frames": frames,
        "answer": want.get("turn"),
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + bytes(body), problems


def _frame(pane: Pane, scan: Scan, number: int, add: Callable[[NDArray[Any] | bytes], int]) -> dict[str, Any]:
    values = np.asarray(scan.pixels[number])[:: pane.stride, :: pane.stride]
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    table = scan.voi_table
    # A series without windows keeps that of one slice, so that brightness tells of the patient alone.
    own = scan if scan.window is not None or table is not None else pane.central
    return {
        "rows": values.shape[0],
        "columns": values.shape[1],
        "dtype": little.dtype.str,
        "colour": scan.is_colour,
        "offset": add(np.ascontiguousarray(little)),
        "window": None if scan.is_colour else list(default_window(own)),
        "curve": scan.window_function,
        "monochrome1": scan.monochrome1,
        "table": None
        if table is None
        else {"first": table.first, "offset": add(table.shades), "length": len(table.shades)},
    }
