"""Views and features: a scan alone gets what it gets in a batch, and only its own pixels matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from medmeta.models.backbones import load_backbone
from medmeta.models.features import READING, VIEWS, FeatureExtractor, views
from medmeta.scans.scan import Scan


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return FeatureExtractor(load_backbone(), torch.device("cpu"), remember=4)


@pytest.fixture(scope="module")
def scans() -> list[Scan]:
    random = np.random.default_rng(0)
    return [Scan(f"s{i}", random.integers(0, 4000, (1, 90, 120), dtype=np.uint16), f"g{i}") for i in range(5)]


def test_views_are_the_whole_turned_left_and_the_centre_mirrored() -> None:
    image = torch.zeros(3, 9, 9)
    image[:, 0, 8] = 1.0  # upper right
    image[:, 2, 2] = 1.0  # upper left of the centre
    found = views(image, 6)
    assert found.shape == (VIEWS, 3, 6, 6)
    assert found[0, 0, 0, 0] > 0.3  # turned left, the upper right corner is the upper left one
    assert found[0, 0, 0, 5] == found[0, 0, 5, 5] == 0.0
    assert torch.equal(found[1], image[:, 1:7, 1:7].flip(-1))
    assert found[1, 0, 1, 4] == 1.0
    even = torch.arange(3 * 8 * 8, dtype=torch.float32).reshape(3, 8, 8)
    assert views(even, 6)[0].mean().item() == pytest.approx(even.mean().item(), rel=1e-3)


def test_a_scan_alone_equals_the_scan_in_a_batch_to_the_bit(
    extractor: FeatureExtractor, scans: list[Scan]
) -> None:
    batch = extractor.extract(scans)
    fresh = FeatureExtractor(extractor.backbone, torch.device("cpu"))
    assert torch.equal(fresh.extract(scans[3:4])[0], batch[3])
    assert torch.equal(fresh.extract(scans[::-1]), batch.flip(0))


def test_the_average_is_over_the_views(extractor: FeatureExtractor, scans: list[Scan]) -> None:
    one_by_one = [extractor.forward(view[None]) for view in extractor.stack(scans[0])]
    torch.testing.assert_close(
        extractor.extract(scans[:1])[0], torch.cat(one_by_one).mean(dim=0), atol=1e-5, rtol=0
    )


def test_monochrome1_is_the_negative_of_monochrome2(extractor: FeatureExtractor) -> None:
    ramp = np.linspace(0, 1000, 64 * 64).reshape(1, 64, 64).astype(np.uint16)
    bright = Scan("a", ramp, "a", transfer_syntax="1.2.840.10008.1.2")
    dark = Scan(
        "b", (1000 - ramp).astype(np.uint16), "b", transfer_syntax="1.2.840.10008.1.2", monochrome1=True
    )
    torch.testing.assert_close(extractor.extract([bright]), extractor.extract([dark]), atol=2e-2, rtol=0)
    unflagged = Scan("c", dark.pixels, "c", transfer_syntax="1.2.840.10008.1.2")
    gap = (extractor.extract([dark]) - extractor.extract([unflagged])).abs().max()
    assert gap > 0.1  # the flag decides, though pixels and hash are the same


def test_padding_decides_though_pixels_and_hash_are_the_same(
    extractor: FeatureExtractor, scans: list[Scan]
) -> None:
    plain = replace(scans[0], transfer_syntax="1.2.840.10008.1.2")
    padded = replace(plain, padding=(0.0, 3000.0))
    assert plain.id == padded.id
    assert (extractor.extract([plain]) - extractor.extract([padded])).abs().max() > 0.1


def test_only_so_many_are_remembered(extractor: FeatureExtractor, scans: list[Scan]) -> None:
    extractor.extract(scans)
    assert len(extractor._known) == 4


def test_nothing_gives_an_empty_table(extractor: FeatureExtractor) -> None:
    assert extractor.extract([]).shape == (0, 1280)


def test_what_is_kept_is_of_this_reading() -> None:
    """Features kept on disk are told apart by `READING`: whoever changes them raises it, and both below."""
    rows, columns = np.mgrid[0:96, 0:120]
    pixels = 1000 + 400 * np.sin(rows / 7) * np.cos(columns / 11) + 3 * columns
    extractor = FeatureExtractor(load_backbone("efficientnet_lite0"), torch.device("cpu"))
    row = extractor.statistics([Scan("s", pixels.astype(np.uint16)[None], "g")])[0]
    assert READING == 5
    assert [block.abs().mean().item() for block in row.split(extractor.blocks)] == pytest.approx(
        [
            *(0.1049, 0.0850, 0.1068, 2.8630, 2.2973, 0.9353),
            *(2.5236, 3.6599, 1.3460, 4.3611, 3.6414, 1.7040),
        ],
        rel=5e-3,
    )
