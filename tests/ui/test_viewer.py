"""The picture the viewer draws, without a browser."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from medmeta.scans.display import render
from medmeta.scans.scan import Scan
from medmeta.ui.viewer import _GRID, _SIDE, _picture


def shown(figure):
    source = figure.layout.images[0].source
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))))


def test_picture_is_what_display_renders_and_values_are_the_scans_own():
    pixels = np.arange(2 * 12 * 20, dtype=np.int16).reshape(2, 12, 20) - 100
    scan = Scan("f", pixels, "g", unit="HU")
    figure = _picture(scan, 1, (0.0, 50.0), invert=True, height=300)
    np.testing.assert_array_equal(shown(figure), render(scan, frame=1, window=(0.0, 50.0), invert=True))
    (values,) = figure.data
    np.testing.assert_array_equal(values.z, pixels[1])
    assert "HU" in values.hovertemplate
    assert values.opacity == 0


def test_large_scans_are_thinned_but_keep_their_coordinates():
    pixels = np.zeros((1, 2000, 3000), np.uint16)
    pixels[0, 1600, 2400] = 77
    figure = _picture(Scan("f", pixels, "g"), 0, (40.0, 80.0), invert=False, height=300)
    assert max(shown(figure).shape) <= _SIDE
    (values,) = figure.data
    assert max(np.asarray(values.z).shape) <= _GRID
    for row, column in ((0, 0), (1, 2), (5, 7)):
        y, x = values.y[row], values.x[column]
        assert values.z[row][column] == pixels[0, y, x]
    assert figure.layout.xaxis.range == (-0.5, 2999.5)


def test_colour_has_no_grey_values():
    scan = Scan("f", np.full((1, 4, 4, 3), 9, np.uint8), "g")
    figure = _picture(scan, 0, None, invert=False, height=300)
    assert len(figure.data) == 0
    assert (shown(figure) == 9).all()
