"""From scans to feature vectors: four averaged views through a frozen backbone, remembered by content hash."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from medmeta.models.backbones import Backbone, device_name
from medmeta.progress import Progress, silent
from medmeta.scans.intensity import model_image
from medmeta.scans.scan import Scan

#: The scan is read at this multiple of the network's side, of which two views take the centre.
MARGIN = 8 / 7
VIEWS = 4


def views(image: Tensor, side: int) -> Tensor:
    """Whole image and central crop, each as it is and mirrored left to right.

    Args:
        image: ``(3, s, s)`` float32 in [0, 1] with ``s >= side``.
        side: rows and columns of each view, in pixels.

    Returns:
        ``(4, 3, side, side)``.
    """
    whole = F.interpolate(
        image[None], size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )
    start = (image.shape[-1] - side) // 2
    centre = image[None, :, start : start + side, start : start + side]
    upright = torch.cat([whole, centre])
    return torch.cat([upright, upright.flip(-1)])


class FeatureExtractor:
    """Frozen backbone plus views; thread-safe, and the same for a scan alone as in a batch.

    One scan's four views make one forward pass, so no result depends on which other scans were asked for
    (and on a CPU four images fit its caches better than forty).

    Args:
        backbone: a loaded backbone.
        device: where to compute.
        remember: how many scans' features are kept, the least recently used going first.
    """

    def __init__(self, backbone: Backbone, device: torch.device, remember: int = 20_000) -> None:
        self.backbone = backbone
        self.device = device
        self._network = backbone.network.to(device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._remember = remember
        self._known: OrderedDict[str, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def device_name(self) -> str:
        return device_name(self.device)

    @property
    def size(self) -> int:
        """Length of a feature vector."""
        return self.backbone.card.features

    def extract(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        """Feature vectors, ``(n, size)`` float32 on the CPU, averaged over the views."""
        rows = []
        for position, scan in enumerate(scans):
            progress(position / len(scans), f"Looking at scan {position + 1} of {len(scans)}")
            rows.append(self._one(scan))
        return torch.stack(rows) if rows else torch.empty(0, self.size)

    def _one(self, scan: Scan) -> Tensor:
        key = f"{scan.id}{'-' if scan.monochrome1 else '+'}"
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        feature = self.forward(self.stack(scan)).mean(dim=0).cpu()
        with self._lock:
            self._known[key] = feature
            while len(self._known) > self._remember:
                self._known.popitem(last=False)
        return feature

    def stack(self, scan: Scan) -> Tensor:
        """The normalised views of one scan, ``(4, 3, side, side)`` on the CPU."""
        card = self.backbone.card
        image = torch.from_numpy(model_image(scan, round(card.side * MARGIN)))
        return card.normalise(views(image, card.side)).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """The bare backbone: ``(n, 3, side, side)`` normalised images to ``(n, size)`` features."""
        out: Tensor = self._network(images.to(self.device))
        return out
