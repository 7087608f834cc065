"""What the tests of the pages share beside their fixtures."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

#: A label that would do harm where it is taken for HTML, Markdown or a directive.
HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:b) :red[c] $d$"


def stripes(seed: int, *, upright: bool) -> bytes:
    """A PNG with stripes one way or the other."""
    values = np.random.default_rng(seed).integers(0, 60, (48, 48)).astype(np.uint8)
    values[(slice(None), slice(None, None, 6)) if upright else slice(None, None, 6)] = 250
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def texts(app: AppTest) -> str:
    """All Markdown-like text of a page in one string."""
    kinds = (
        app.markdown,
        app.caption,
        app.title,
        app.subheader,
        app.error,
        app.warning,
        app.info,
        app.success,
    )
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
