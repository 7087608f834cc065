"""What tests of several rooms need."""

from __future__ import annotations

import io
import re
import zlib

import numpy as np
from PIL import Image


def pdf_text(pdf: bytes) -> str:
    """Text operators of every page; a PDF's streams are compressed, so its bytes show no word of it."""
    parts = []
    for stream in re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL):
        try:
            parts.append(zlib.decompress(stream).decode("latin-1"))
        except zlib.error:
            continue
    return "\n".join(parts).replace("\\(", "(").replace("\\)", ")")


def stripes(seed: int, *, upright: bool) -> bytes:
    """A PNG with stripes one way or the other."""
    values = np.random.default_rng(seed).integers(0, 60, (48, 48)).astype(np.uint8)
    values[(slice(None), slice(None, None, 6)) if upright else slice(None, None, 6)] = 250
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()
