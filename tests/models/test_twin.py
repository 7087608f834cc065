"""Two trunks side by side, and the statistics each extractor gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_network import FEATURES, scan, tiny_backbone, tiny_extractor

from medmeta.errors import ModelError
from medmeta.models import twin
from medmeta.models.backbones import Backbone
from medmeta.models.features import FeatureExtractor
from medmeta.models.twin import TwinExtractor, TwinSpace
from medmeta.scans.scan import Scan

SCANS = [scan(kind, i) for kind in range(3) for i in range(2)]
#: Mean, deviation and maximum of each stage's channels, and their covariances.
SIZES = (*[FEATURES] * 2, 78, *[8] * 2, 36, *[6] * 2, 21)


def other_backbone() -> Backbone:
    """The tiny network with other weights."""
    found = tiny_backbone()
    for value in found.network.parameters():
        value.data = value.data.flip(0)
    return replace(found, card=replace(found.card, name="tiny_medical"), sha256="2" * 64)


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> TwinExtractor:
    monkeypatch.setattr(twin, "MEDICAL", {"tiny": "tiny_medical"})
    monkeypatch.setattr(twin, "load_backbone", lambda name: {"tiny_medical": other_backbone()}[name])
    return TwinExtractor.beside(tiny_extractor())


def test_an_extractors_statistics_are_averaged_over_the_views() -> None:
    extractor = tiny_extractor()
    found = extractor.statistics(SCANS)
    assert extractor.blocks == SIZES
    assert found.shape == (len(SCANS), sum(SIZES))
    for row, one in zip(found, SCANS, strict=True):
        expected = torch.stack([extractor.trunk.statistics(view[None])[0] for view in extractor.stack(one)])
        torch.testing.assert_close(row, expected.mean(dim=0), atol=1e-5, rtol=0)
    assert torch.equal(extractor.extract(SCANS), found[:, :FEATURES])
    assert extractor.statistics([]).shape == (0, sum(SIZES))


def test_a_scan_alone_has_the_statistics_of_the_batch() -> None:
    batch = tiny_extractor().statistics(SCANS)
    assert torch.equal(tiny_extractor().statistics(SCANS[4:5])[0], batch[4])


def test_the_originals_features_come_first(both: TwinExtractor) -> None:
    found = both.extract(SCANS)
    assert both.blocks == (*SIZES, *SIZES)
    half = sum(SIZES)
    assert torch.equal(found[:, :half], tiny_extractor().statistics(SCANS))
    other = FeatureExtractor(other_backbone(), torch.device("cpu"))
    assert torch.equal(found[:, half:], other.statistics(SCANS))
    assert not torch.equal(found[:, half:], found[:, :half])


def test_a_scan_is_prepared_once_for_both_and_looked_at_by_each_once(
    both: TwinExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = TwinExtractor(tiny_extractor(), FeatureExtractor(other_backbone(), torch.device("cpu")))
    prepared, looked = list[Scan](), list[FeatureExtractor]()
    stack, row = FeatureExtractor.stack, FeatureExtractor._row

    def counting_stack(self: FeatureExtractor, scan: Scan) -> torch.Tensor:
        prepared.append(scan)
        return stack(self, scan)

    def counting_row(self: FeatureExtractor, views: torch.Tensor) -> torch.Tensor:
        looked.append(self)
        return row(self, views)

    alone = both.original.statistics(SCANS[:1])
    monkeypatch.setattr(FeatureExtractor, "stack", counting_stack)
    monkeypatch.setattr(FeatureExtractor, "_row", counting_row)
    found = both.extract(SCANS)
    assert len(prepared) == len(SCANS)
    assert looked.count(both.original) == len(SCANS) - 1  # the first was known to it
    assert looked.count(both.medical) == len(SCANS)
    assert torch.equal(found[:1, : sum(SIZES)], alone)
    assert torch.equal(both.extract(SCANS[::-1]), found.flip(0))
    assert torch.equal(both.medical.statistics(SCANS), found[:, sum(SIZES) :])
    assert len(prepared) == len(SCANS)
    assert torch.equal(expected.extract(SCANS), found)
    assert both.extract([]).shape == (0, sum(both.blocks))


def test_the_second_trunk_is_loaded_once(both: TwinExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin, "load_backbone", None)
    assert TwinExtractor.beside(both.original).medical is both.medical
    assert type(both.medical) is type(both.original)


def test_a_backbone_without_a_medical_trunk_is_named() -> None:
    with pytest.raises(ModelError, match="no medical trunk goes with tiny"):
        TwinExtractor.beside(tiny_extractor())


def test_progress_runs_once_from_start_to_end(both: TwinExtractor) -> None:
    told: list[float] = []
    both.extract(SCANS, progress=lambda fraction, _: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert any(0.0 < fraction < 0.5 for fraction in told)


def test_the_space_is_unit_blocks_around_the_centre(both: TwinExtractor) -> None:
    centre = torch.linspace(-1, 1, sum(both.blocks)).double()
    space = TwinSpace(both, centre)
    found, features = space.embed(SCANS), both.extract(SCANS).double() - centre
    assert space.size == len(centre) == found.shape[1]
    at = 0
    for size in both.blocks:
        block = features[:, at : at + size].numpy()
        expected = block / np.linalg.norm(block, axis=1, keepdims=True) / len(both.blocks) ** 0.5
        np.testing.assert_allclose(found[:, at : at + size], expected, atol=1e-12)
        at += size
    np.testing.assert_allclose(found.norm(dim=1), 1.0, atol=1e-12)
