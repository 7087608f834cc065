"""Small views of scans, made from their thumbnails: which are copies of one another, which lie the other way round.

Both look at the picture as it is shown, so window, bits and compression of the file matter little.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Views = NDArray[np.float32]
#: Positions of two pictures, the first lower, and their correlation.
Pairs = Sequence[tuple[int, int, float]]

#: Side of a view in pixels, and the width over which its coarse shades are taken out: what is left is detail, in which
#: two patients differ even where their anatomy lies alike.
SIDE, COARSE = 64, 2.0
#: Correlation of detail from which two scans count as copies (`benchmarks.intake_checks` has the figures).
COPY = 0.93
#: Side of the coarse picture in which orientation is judged.
POSE_SIDE = 16
#: An orientation is suspected when another one is like the class by this much more, in a class of this many others
#: that are like each other at least so much.
POSE_MARGIN, POSE_LEAST, POSE_ALIKE = 0.7, 4, 0.5


@dataclass(frozen=True)
class Pose:
    """A way a picture can lie: mirrored left to right first, then turned to the left by quarter turns."""

    turns: int
    mirrored: bool
    words: str


#: All but upright, the plain turns first.
POSES = (
    Pose(1, False, "turned by 90 degrees"),
    Pose(3, False, "turned by 90 degrees"),
    Pose(2, False, "turned by 180 degrees"),
    Pose(2, True, "upside down"),
    Pose(0, True, "mirrored"),
    Pose(1, True, "mirrored and turned by 90 degrees"),
    Pose(3, True, "mirrored and turned by 90 degrees"),
)
#: Anatomy is nearly symmetric: of poses whose likeness differs by less, the plainer one is named.
_PLAINER = 0.15


def view_of(thumbnail: bytes, rows: int, columns: int) -> Views:
    """The grey picture inside a thumbnail, its black frame cut off: ``(SIDE, SIDE)`` float32 in [0, 255].

    Args:
        thumbnail: a square PNG as `medmeta.scans.display.thumbnail` draws it.
        rows: of the scan, as ``columns``.
    """
    grey = Image.open(io.BytesIO(thumbnail)).convert("L")
    shrunk = min(1.0, grey.width / max(rows, columns))
    wide, tall = max(1, round(columns * shrunk)), max(1, round(rows * shrunk))
    left, top = (grey.width - wide) // 2, (grey.height - tall) // 2
    picture = grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + wide, top + tall))
    return np.asarray(picture, dtype=np.float32)


def shows_colour(thumbnail: bytes) -> bool:
    """Whether a thumbnail has colour to see; grey pictures kept as RGB have none."""
    picture = Image.open(io.BytesIO(thumbnail))
    if picture.mode == "L":
        return False
    values = np.asarray(picture.convert("RGB"), dtype=np.int16)
    return bool((np.ptp(values, axis=2) > 16).mean() > 0.01)


def copies(views: Sequence[Views], *, limit: float = COPY) -> list[tuple[int, int, float]]:
    """Pairs of views that show the same picture: positions (first lower) and correlation, the most alike first.

    Views without detail are in no pair.
    """
    if len(views) < 2:
        return []
    details = np.stack([_detail(view) for view in views])
    pairs = []
    for start in range(0, len(details), 500):
        alike = details[start : start + 500] @ details.T
        for row, column in zip(*np.nonzero(alike >= limit), strict=True):
            if start + row < column:
                pairs.append((int(start + row), int(column), float(alike[row, column])))
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


def other_poses(views: Sequence[Views]) -> list[tuple[int, str]]:
    """Views of one class that are far more like the others when turned or mirrored: positions, and how.

    What a picture has in common with its own eight poses says nothing about how it lies, and is taken out first.
    A suspicion, not a finding: it looks at coarse shades alone. Classes whose scans lie every way, such as
    cells under a microscope, are not like each other and give none.
    """
    if len(views) <= POSE_LEAST:
        return []
    pictures = [_lying(view) for view in views]
    units = np.stack([_unit(picture) for picture in pictures])
    total = units.sum(axis=0)
    means = np.stack([_unit(total - one) for one in units])
    straight = (units * means).sum(axis=1)
    if float(np.median(straight)) < POSE_ALIKE:
        return []
    found = []
    for position in np.nonzero(straight < 1 - POSE_MARGIN)[0]:
        scores = [float(_unit(_posed(pictures[position], pose)) @ means[position]) for pose in POSES]
        best = next(i for i, score in enumerate(scores) if score >= max(scores) - _PLAINER)
        if max(scores) - straight[position] >= POSE_MARGIN and max(scores) >= 0.8 * POSE_ALIKE:
            found.append((int(position), POSES[best].words))
    return found


def is_empty(view: Views) -> bool:
    """Whether the picture shows next to nothing: 98 of 100 places have one grey level, give or take one."""
    low, high = np.percentile(view, (1, 99))
    return bool(high - low <= 2)


def _detail(view: Views) -> Views:
    return _unit(view - gaussian_filter(view, COARSE), least=1.0)


def _lying(view: Views) -> Views:
    """The coarse picture less the mean of its own eight poses: ``(POSE_SIDE, POSE_SIDE)``."""
    step = SIDE // POSE_SIDE
    shrunk = view.reshape(POSE_SIDE, step, POSE_SIDE, step).mean(axis=(1, 3))
    spread = float(shrunk.std())
    if spread < 1.0:  # less than a grey level: no picture
        return np.zeros_like(shrunk)
    picture: Views = (shrunk - shrunk.mean()) / np.float32(spread)
    common: Views = np.mean([picture, *(_posed(picture, pose) for pose in POSES)], axis=0, dtype=np.float32)
    return picture - common


def _posed(picture: Views, pose: Pose) -> Views:
    return np.rot90(picture[:, ::-1] if pose.mirrored else picture, pose.turns)


def _unit(values: Views, least: float = 1e-3) -> Views:
    """Flat, mean 0, length 1; all 0 where the deviation is below ``least``."""
    flat = values.ravel() - values.mean()
    length = float(np.linalg.norm(flat))
    return flat / np.float32(length) if length > least * len(flat) ** 0.5 else np.zeros_like(flat)
