"""What the tests of the pages share beside their fixtures."""

from __future__ import annotations

import time
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

#: A label that would do harm where it is taken for HTML, Markdown or a directive.
HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:b) :red[c] $d$"


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
