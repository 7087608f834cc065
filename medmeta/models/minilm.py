"""The all-MiniLM-L6-v2 sentence encoder (Wang et al. 2020, arXiv:2002.10957; Reimers and Gurevych 2019,
arXiv:1908.10084) in plain torch: a six-layer BERT, read from safetensors and a vocabulary.

Read this way it needs none of the packages that its usual library brings along.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from medmeta.errors import ModelError

SIZE = 384
LAYERS = 6
HEADS = 12
MAX_TOKENS = 256
#: A longer word counts as unknown.
MAX_WORD = 100
LAYER_NORM_EPS = 1e-12


def words(text: str) -> list[str]:
    """BERT's uncased words (Devlin et al. 2019, arXiv:1810.04805): no accents, punctuation and CJK one by one."""
    out: list[str] = []
    joins = False  # whether the next character continues the last word
    for char in unicodedata.normalize("NFD", text).lower():
        kind = unicodedata.category(char)
        if char in "\0\ufffd" or kind == "Mn" or (kind in {"Cc", "Cf", "Co"} and char not in "\t\n\r"):
            continue
        if char.isspace():
            joins = False
        elif _stands_alone(char, kind):
            out.append(char)
            joins = False
        elif joins:
            out[-1] += char
        else:
            out.append(char)
            joins = True
    return out


def _stands_alone(char: str, kind: str) -> bool:
    ascii_sign = char.isascii() and char.isprintable() and not char.isalnum()
    return ascii_sign or kind.startswith("P") or _is_cjk(ord(char))


def _is_cjk(code: int) -> bool:
    blocks = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2CEAF), (0x2F800, 0x2FA1F))
    return any(first <= code <= last for first, last in blocks)


def pieces(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    """Longest vocabulary entries from the left (WordPiece); one ``[UNK]`` where they do not cover the word."""
    out: list[int] = []
    start = 0
    while start < len(word) <= MAX_WORD:
        stop = len(word)
        prefix = "##" if start else ""
        while stop > start and prefix + word[start:stop] not in vocabulary:
            stop -= 1
        if stop == start:
            return [vocabulary["[UNK]"]]
        out.append(vocabulary[prefix + word[start:stop]])
        start = stop
    return out or [vocabulary["[UNK]"]]


class MiniLM:
    """The encoder, frozen, on the CPU.

    Args:
        folder: holds ``model.safetensors`` and ``vocab.txt`` of all-MiniLM-L6-v2.

    Raises:
        ModelError: a file is missing or of another model.
    """

    size = SIZE

    def __init__(self, folder: Path) -> None:
        try:
            lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
            self._tensors = load_file(folder / "model.safetensors")
        except (OSError, SafetensorError, UnicodeDecodeError) as error:
            raise ModelError(f"the text encoder in {folder} cannot be read; install it again") from error
        self._vocabulary = {line: index for index, line in enumerate(lines)}
        found = self._tensors.get("embeddings.word_embeddings.weight", torch.empty(0)).shape
        if found != (len(lines), SIZE):
            raise ModelError(f"{folder} holds another text encoder; expected is all-MiniLM-L6-v2")

    def tokens(self, text: str) -> list[int]:
        """Token numbers with ``[CLS]`` and ``[SEP]``, at most 256."""
        body = [token for word in words(text) for token in pieces(word, self._vocabulary)]
        return [self._vocabulary["[CLS]"], *body[: MAX_TOKENS - 2], self._vocabulary["[SEP]"]]

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """``(n, 384)`` float32, unit rows: the mean over tokens. One text at a time, so none depends on others."""
        if not texts:
            return torch.empty(0, SIZE)
        return F.normalize(
            torch.stack([self._hidden(self.tokens(text)).mean(dim=0) for text in texts]), dim=1
        )

    def _hidden(self, tokens: Sequence[int]) -> Tensor:
        """``(t, 384)``: the last layer's states of one text's tokens."""
        table = self._tensors
        x = table["embeddings.word_embeddings.weight"][list(tokens)]
        x = x + table["embeddings.position_embeddings.weight"][: len(tokens)]
        x = self._norm("embeddings.LayerNorm", x + table["embeddings.token_type_embeddings.weight"][0])
        for layer in range(LAYERS):
            at = f"encoder.layer.{layer}"
            query, key, value = (
                self._linear(f"{at}.attention.self.{part}", x).view(len(tokens), HEADS, -1).transpose(0, 1)
                for part in ("query", "key", "value")
            )
            mixed = F.scaled_dot_product_attention(query, key, value).transpose(0, 1).flatten(1)
            x = self._norm(
                f"{at}.attention.output.LayerNorm", x + self._linear(f"{at}.attention.output.dense", mixed)
            )
            wide = F.gelu(self._linear(f"{at}.intermediate.dense", x))
            x = self._norm(f"{at}.output.LayerNorm", x + self._linear(f"{at}.output.dense", wide))
        return x

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return F.layer_norm(x, (SIZE,), weight, bias, LAYER_NORM_EPS)
