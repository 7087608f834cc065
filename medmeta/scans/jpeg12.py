"""Lossy JPEG of more than 8 bits a sample (ITU-T T.81 process 4), which of the decoders here GDCM alone reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray

from medmeta.scans.geometry import Geometry, jpeg_precision
from medmeta.scans.refusal import RefusedError


def decode_12_bit(frames: Iterable[bytes], geometry: Geometry, *, signed: bool) -> NDArray[Any]:
    """Greyscale frames of 9 to 16 bits stored, decoded one by one.

    Args:
        frames: JPEG codestreams whose sizes were compared with ``geometry``.
        geometry: one sample a pixel, 16 bits allocated.
        signed: Pixel Representation is 1; the sign bit is the highest bit stored.

    Returns:
        ``(frames, rows, columns)`` uint16 or int16 stored values.

    Raises:
        RefusedError: colour, frames of another precision, or frames that do not decode.
    """
    if geometry.samples != 1 or geometry.bits_allocated != 16:
        raise RefusedError(
            "is a 12-bit lossy JPEG in colour, which this program cannot decode; export it as RGB"
        )
    shape = (geometry.rows, geometry.columns)
    stored = np.empty((geometry.frames, *shape), np.uint16)
    for place, frame in zip(range(geometry.frames), frames, strict=False):
        # GDCM fills the buffer that the header asks for from whatever precision the frame has.
        if jpeg_precision(frame) != 12:
            raise RefusedError(
                f"compressed frame {place + 1} has not the 12 bits that its header asks for; export it again"
            )
        buffer = _image(frame, geometry).GetBuffer()
        values = b"" if buffer is None else buffer.encode("utf-8", "surrogateescape")
        if len(values) != stored[place].nbytes:
            raise RefusedError(f"compressed frame {place + 1} is damaged; export or copy the file again")
        stored[place] = np.frombuffer(values, "<u2").reshape(shape)
    if not signed:
        return stored
    top = 1 << (geometry.bits_stored - 1)
    return ((stored.astype(np.int32) ^ top) - top).astype(np.int16)


def _image(frame: bytes, geometry: Geometry) -> Any:
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((geometry.columns, geometry.rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    )
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
    return image
