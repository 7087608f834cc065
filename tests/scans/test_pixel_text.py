"""Text in the pixels: found where it was written, not found where none is, and gone after blanking."""

from __future__ import annotations

import numpy as np
import pytest
from burned_text import as_scan, shaded, written

from medmeta.scans.pixel_text import Box, TextFinder, blanked
from medmeta.scans.scan import Scan


@pytest.fixture(scope="module")
def finder() -> TextFinder:
    return TextFinder()


def test_text_is_found_where_it_was_written(finder: TextFinder) -> None:
    boxes = finder.find(as_scan(written(shaded(1), at=(20, 120))))
    assert boxes
    middle = [(box.left + box.right) / 2 for box in boxes], [(box.top + box.bottom) / 2 for box in boxes]
    assert 20 < np.mean(middle[0]) < 150
    assert all(118 < y < 140 for y in middle[1])


def test_no_text_and_a_side_marker_are_let_pass(finder: TextFinder) -> None:
    assert [finder.find(as_scan(shaded(seed))) for seed in range(4)] == [()] * 4
    assert finder.find(as_scan(written(shaded(9), "L"))) == ()


def test_text_on_the_last_frame_of_a_clip_is_found_and_blanked_on_all(finder: TextFinder) -> None:
    frames = np.stack([shaded(seed) for seed in range(5)])
    frames[4] = written(frames[4])
    clip = Scan("clip", frames, "P1")
    boxes = finder.find(clip)
    assert boxes
    clean = blanked(clip, boxes)
    assert finder.find(clean) == ()
    assert clean.id != clip.id
    box = boxes[0]
    assert (clean.pixels[:, box.top : box.bottom, box.left : box.right] == frames.min()).all()
    outside = np.ones(frames.shape[1:], bool)
    for each in boxes:
        outside[each.top : each.bottom, each.left : each.right] = False
    np.testing.assert_array_equal(clean.pixels[:, outside], frames[:, outside])
    np.testing.assert_array_equal(clip.pixels, frames)  # the first is not touched


def test_text_on_wide_colour_and_deep_pictures(finder: TextFinder) -> None:
    colour = np.repeat(written(shaded(3))[..., None], 3, axis=2)
    assert finder.find(Scan("rgb", colour[None].copy(), "P1"))
    deep = written(shaded(4)).astype(np.int16) * 16 - 1000
    assert finder.find(Scan("ct", deep[None].copy(), "P1", unit="HU"))
    inverted = Scan("cr", (255 - written(shaded(5)))[None].copy(), "P1", monochrome1=True)
    assert finder.find(inverted)
    black = blanked(inverted, [Box(0, 0, 10, 10)]).pixels[0, :10, :10]
    assert (black == inverted.pixels.max()).all()  # shown black: MONOCHROME1 shows high values dark
    wide = np.full((1200, 2400), 40, np.uint8)
    wide[40:200, 60:220] = shaded(1)
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(wide)
    ImageDraw.Draw(picture).text((1800, 1100), "MRN 0048213", font=ImageFont.load_default(60), fill=255)
    boxes = finder.find(Scan("dx", np.asarray(picture)[None].copy(), "P1"))
    assert any(box.left > 1700 and box.top > 1050 for box in boxes)


def test_what_was_read_is_neither_kept_nor_logged(finder: TextFinder, caplog, capfd) -> None:
    caplog.set_level("DEBUG")
    boxes = finder.find(as_scan(written(shaded(6), "CANARY 777")))
    assert boxes
    said = repr(boxes) + caplog.text + "".join(capfd.readouterr()) + repr(vars(finder).get("_last", ""))
    assert "CANARY" not in said
    assert "777" not in said
