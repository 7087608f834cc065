"""The registry: cards that agree with their networks, and loading with and without published weights."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
from safetensors.torch import save

from medmeta.errors import ModelError
from medmeta.models import backbones, fetch, weights
from medmeta.models.backbones import ASSETS, CARDS, load_backbone
from medmeta.models.efficientnet_lite import EfficientNetLite0
from medmeta.models.fetch import Origin, by_hand
from medmeta.models.initialise import untrained


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """ResNet-18's address answers nobody; returns where its weights would be kept."""
    monkeypatch.setenv("MEDMETA_WORKSPACE", str(tmp_path))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    card = dataclasses.replace(CARDS["resnet18"], origin=Origin(f"http://127.0.0.1:{port}/model.safetensors"))
    monkeypatch.setattr(backbones, "CARDS", MappingProxyType({**CARDS, "resnet18": card}))
    return tmp_path / "weights" / "resnet18.safetensors"


@pytest.mark.parametrize("name", CARDS)
@torch.no_grad()
def test_a_card_tells_what_its_network_does(name: str) -> None:
    card = CARDS[name]
    assert card.name == name
    backbone = load_backbone(name, pretrained=False)
    images = torch.rand(1, 3, card.side, card.side, generator=torch.Generator().manual_seed(0))
    features = backbone.network(card.normalise(images))
    assert features.shape == (1, card.features)
    assert features.std() > 0
    assert tuple(backbone.network.stage_channels) == card.stage_names
    assert backbone.network.stage_channels[card.stage_names[-1]] == card.features


def test_normalisation_by_channel_and_by_one_number() -> None:
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    seen = CARDS["resnet34"].normalise(images)
    for channel, (mean, std) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))):
        assert torch.allclose(seen[:, channel], (images[:, channel] - mean) / std, atol=1e-6)
    assert torch.equal(CARDS["resnet34"].normalise(images[0]), seen[0])
    assert torch.allclose(
        CARDS["efficientnet_lite0"].normalise(images), (images * 255 - 127) / 128, atol=1e-6
    )


def test_random_weights_follow_the_seed_and_leave_global_chance_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = (load_backbone("conv4", pretrained=False, seed=seed) for seed in (3, 3, 4))
    load_backbone()
    assert torch.equal(torch.get_rng_state(), state)
    assert first.sha256 == again.sha256 != other.sha256
    assert all(
        torch.equal(value, again.network.state_dict()[name])
        for name, value in first.network.state_dict().items()
    )


def test_nothing_published_for_conv4() -> None:
    with pytest.raises(ModelError, match=r"conv4 has no pretrained weights; ask for pretrained=False"):
        load_backbone("conv4")


@torch.no_grad()
def test_the_shipped_one_is_what_its_file_holds() -> None:
    plain = EfficientNetLite0().eval()
    sha256 = weights.load_into(plain, ASSETS / "efficientnet_lite0.safetensors")
    shipped = load_backbone()
    assert shipped.sha256 == sha256
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(shipped.network(images), plain(images), atol=1e-4)


@torch.no_grad()
def test_the_published_file_put_by_hand_is_loaded_and_later_guarded(offline: Path) -> None:
    source = untrained(CARDS["resnet18"].build, 9)
    body = save({**source.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)})
    offline.parent.mkdir()
    by_hand(offline).write_bytes(body)
    backbone = load_backbone("resnet18")
    assert backbone.sha256 == hashlib.sha256(offline.read_bytes()).hexdigest()
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(backbone.network(images), source(images), atol=1e-4)
    assert weights.read(offline)[1]["licence"] == "BSD-3-Clause"
    by_hand(offline).unlink()
    assert load_backbone("resnet18").sha256 == backbone.sha256
    assert load_backbone("resnet18", offline.parent).sha256 == backbone.sha256

    blob = bytearray(offline.read_bytes())
    blob[-1] ^= 1
    offline.write_bytes(bytes(blob))
    with pytest.raises(
        ModelError, match=r"altered or cut short; delete .*resnet18\.safetensors to fetch it again"
    ):
        load_backbone("resnet18")


def test_offline_names_address_place_and_the_way_out(offline: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_backbone("resnet18")
    text = str(caught.value)
    assert "http://127.0.0.1:" in text
    assert str(by_hand(offline)) in text
    assert "or use efficientnet_lite0, which needs no download" in text


def test_nothing_is_fetched_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **settings: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(fetch, "ensure", never)
    for name in CARDS:
        load_backbone(name, pretrained=False)
    load_backbone()


def test_published_addresses() -> None:
    for name in ("resnet18", "resnet34"):
        origin = CARDS[name].origin
        assert origin is not None
        assert origin.url == f"https://huggingface.co/timm/{name}.tv_in1k/resolve/main/model.safetensors"
