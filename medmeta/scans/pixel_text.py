"""Text burned into the pixels: where it seems to be, and pixels with those places blanked.

The recogniser (PP-OCR through rapidocr, its weights inside the wheel) says what it reads; that is counted and
dropped at once, since it may be a name. Only places leave this file.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medmeta.scans.display import render
from medmeta.scans.scan import Scan, content_hash

#: Letters and digits, all places of a picture together, from which a scan counts as bearing text. Places with fewer
#: than two do not count: anatomy is at times read as one sign, and a side marker names nobody.
LEAST_LETTERS, LEAST_IN_PLACE = 3, 2
#: The picture is read at this size of its longer side: smaller ones are enlarged, larger ones reduced.
_LEAST_SIDE, _MOST_SIDE = 448, 960
#: How sure the recogniser must be of a line, 0 to 1.
_SCORE = 0.5


@dataclass(frozen=True)
class Box:
    """A place in the frame, in pixels of the scan; ``right`` and ``bottom`` are the first pixels beyond it."""

    left: int
    top: int
    right: int
    bottom: int


class TextFinder:
    """Finds text in scans; holds the network, about 100 MiB, from its first use on.

    Safe to share between threads, and quickest so: one scan keeps one core busy, and two threads on one scan wait for
    each other for most of the second one's time.
    """

    def __init__(self) -> None:
        self._engine: Any = None
        self._making = threading.Lock()

    def find(self, scan: Scan) -> tuple[Box, ...]:
        """Places that hold text on the central, first or last frame as the screen shows them; none is ``()``.

        Clips carry the same text on every frame as a rule; text on other frames alone is not found.
        """
        boxes: dict[Box, None] = {}
        letters = 0
        for frame in sorted({scan.central_frame, 0, scan.frames - 1}):
            found, read = self._of_picture(render(scan, frame=frame))
            letters = max(letters, read)
            boxes.update(dict.fromkeys(found))
        return tuple(boxes) if letters >= LEAST_LETTERS else ()

    def _of_picture(self, picture: NDArray[np.uint8]) -> tuple[list[Box], int]:
        rows, columns = picture.shape[:2]
        longer = max(rows, columns)
        scale = min(max(longer, _LEAST_SIDE), _MOST_SIDE) / longer
        size = (max(32, round(columns * scale)), max(32, round(rows * scale)))
        shown = np.asarray(Image.fromarray(picture).convert("RGB").resize(size, Image.Resampling.BICUBIC))
        answer = self._ready()(np.ascontiguousarray(shown[..., ::-1]))
        if answer.boxes is None or answer.txts is None:
            return [], 0
        across, down = columns / size[0], rows / size[1]
        boxes, read = [], 0
        for corners, line in zip(answer.boxes, answer.txts, strict=True):
            letters = sum(letter.isalnum() for letter in line)
            if letters < LEAST_IN_PLACE:
                continue
            read += letters
            xs, ys = corners[:, 0] * across, corners[:, 1] * down
            edge = (
                0.15 * float(ys.max() - ys.min()) + 1
            )  # the network's boxes are tight, and descenders stick out
            boxes.append(
                Box(
                    max(0, int(xs.min() - edge)),
                    max(0, int(ys.min() - edge)),
                    min(columns, int(np.ceil(xs.max() + edge))),
                    min(rows, int(np.ceil(ys.max() + edge))),
                )
            )
        return boxes, read

    def _ready(self) -> Any:
        with self._making:
            if self._engine is None:
                from rapidocr import RapidOCR

                logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)  # its lines quote what it reads
                self._engine = RapidOCR(
                    params={
                        "Global.use_cls": False,  # all text upright
                        "Global.log_level": "critical",
                        "Global.text_score": _SCORE,
                        "Det.limit_side_len": _MOST_SIDE,
                        "Det.limit_type": "max",
                        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                    }
                )
        return self._engine


def blanked(scan: Scan, boxes: Sequence[Box]) -> Scan:
    """The scan with these places filled on every frame by its darkest value, and a new content hash.

    "Clean Pixel Data" of PS3.15 E.3.1: what was there is overwritten, not covered.
    """
    pixels = np.array(scan.pixels)
    fill = 0 if scan.is_colour else (pixels.max() if scan.monochrome1 else pixels.min())
    for box in boxes:
        pixels[:, box.top : box.bottom, box.left : box.right] = fill
    return replace(scan, pixels=pixels, id=content_hash(pixels))
