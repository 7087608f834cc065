"""Views of scans: copies known after a change, other pictures not; a turned one suspected."""

from __future__ import annotations

import io

import numpy as np
import pytest
from burned_text import as_scan, shaded
from PIL import Image

from medmeta.scans.display import thumbnail
from medmeta.scans.likeness import POSES, SIDE, copies, is_empty, other_poses, shows_colour, view_of
from medmeta.scans.scan import Scan


def view(pixels: np.ndarray):
    scan = as_scan(pixels) if pixels.ndim == 2 else Scan("x", pixels[None].copy(), "g")
    return view_of(thumbnail(scan), scan.rows, scan.columns)


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def structured(seed: int, side: int = 160) -> np.ndarray:
    """Blurred noise: detail of its own at every scale."""
    values = np.random.default_rng(seed).integers(0, 255, (side // 4, side // 4)).astype(np.uint8)
    return np.asarray(Image.fromarray(values).resize((side, side), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    "change",
    [
        lambda p: jpeg(p, 60),
        lambda p: np.asarray(Image.fromarray(p).resize((100, 100), Image.Resampling.BICUBIC)),
        lambda p: (p * 0.7 + 20).astype(np.uint8),
        lambda p: np.repeat(p[..., None], 3, axis=2),
    ],
)
def test_a_changed_copy_is_known(change) -> None:
    pictures = [structured(seed) for seed in range(6)]
    views = [view(picture) for picture in pictures] + [view(change(pictures[2]))]
    assert [pair[:2] for pair in copies(views)] == [(2, 6)]


def test_correlation_of_a_copy_is_one_and_order_is_by_likeness() -> None:
    one, two = structured(1), structured(2)
    blend = (0.9 * one + 0.1 * two).astype(np.uint8)
    found = copies([view(one), view(blend), view(one)])
    assert found[0][:2] == (0, 2)
    assert found[0][2] == pytest.approx(1.0, abs=1e-5)
    assert all(first < second for first, second, _ in found)


def test_flat_pictures_are_copies_of_nothing() -> None:
    flat = np.full((80, 80), 7, np.uint8)
    assert copies([view(flat), view(flat)]) == []
    assert is_empty(view(flat))
    speck = flat.copy()
    speck[40, 40] = 200
    assert is_empty(view(speck))
    assert not is_empty(view(structured(1)))


def test_a_wide_picture_fills_the_view() -> None:
    wide = structured(3)[:40]
    assert view(wide).shape == (SIDE, SIDE)
    assert view(wide)[:4].std() > 10  # no black bar on top


def lying(seed: int) -> np.ndarray:
    """A class that lies one way: bright at the top, left of the middle, where no pose but upright has it."""
    values = shaded(seed).astype(int) // 4
    values[5:40, 30:85] += 200
    return np.clip(values, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("pose", POSES)
def test_a_turned_scan_is_suspected(pose) -> None:
    pictures = [lying(seed) for seed in range(7)]
    pictures[4] = np.rot90(pictures[4][:, ::-1] if pose.mirrored else pictures[4], pose.turns)
    found = other_poses([view(picture) for picture in pictures])
    assert [position for position, _ in found] == [4]


def test_no_suspicion_where_nothing_lies_alike_or_few_are_there() -> None:
    assert other_poses([view(lying(seed)) for seed in range(7)]) == []
    assert other_poses([view(structured(seed)) for seed in range(9)]) == []
    few = [view(lying(seed)) for seed in range(3)]
    assert other_poses([*few, np.rot90(few[0]).copy()]) == []


def test_colour_is_what_can_be_seen() -> None:
    grey = np.repeat(structured(1)[..., None], 3, axis=2)
    assert not shows_colour(thumbnail(Scan("x", grey[None].copy(), "g")))
    red = grey.copy()
    red[..., 1:] //= 2
    assert shows_colour(thumbnail(Scan("x", red[None].copy(), "g")))
    assert not shows_colour(thumbnail(as_scan(structured(1))))
