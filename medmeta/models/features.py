"""From scans to feature vectors: four averaged views through a frozen backbone, remembered by content hash."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import torch
from torch import Tensor
from torch.nn import functional as F

from medmeta.models.backbones import Backbone, device_name
from medmeta.models.threads import one_thread
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
        # Scans are prepared side by side; on a CPU they are computed side by side too.
        self._workers = torch.get_num_threads()

    @property
    def device_name(self) -> str:
        return device_name(self.device)

    @property
    def size(self) -> int:
        """Length of a feature vector."""
        return self.backbone.card.features

    def extract(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        """Feature vectors, ``(n, size)`` float32 on the CPU, averaged over the views."""
        rows: list[Tensor | None] = [self._recall(scan) for scan in scans]
        new = [position for position, row in enumerate(rows) if row is None]
        with ExitStack() as stack:
            if new:  # threads cost more than looking up what is known
                stack.enter_context(one_thread())
                pool = stack.enter_context(ThreadPoolExecutor(self._workers, "medmeta-features"))
                stack.callback(pool.shutdown, cancel_futures=True)
                found = pool.map(self._compute, [scans[position] for position in new])
                for number, (position, row) in enumerate(zip(new, found, strict=True), start=1):
                    rows[position] = row
                    progress(number / len(new), f"Looked at scan {number} of {len(new)}")
        progress(1.0, f"Looked at all {len(scans)} scans")
        return torch.stack([row for row in rows if row is not None]) if rows else torch.empty(0, self.size)

    def _recall(self, scan: Scan) -> Tensor | None:
        with self._lock:
            feature = self._known.get(_key(scan))
            if feature is not None:
                self._known.move_to_end(_key(scan))
            return feature

    def _compute(self, scan: Scan) -> Tensor:
        feature = self.forward(self.stack(scan)).mean(dim=0).cpu()
        with self._lock:
            self._known[_key(scan)] = feature
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


def _key(scan: Scan) -> str:
    """What decides a scan's features: its pixels, and which way round they are shown."""
    return f"{scan.id}{'-' if scan.monochrome1 else '+'}"
