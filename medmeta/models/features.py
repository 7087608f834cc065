"""From scans to feature vectors: two averaged views through a frozen backbone, remembered by content hash."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import torch
from torch import Tensor
from torch.nn import functional as F

from medmeta.models.backbones import Backbone, device_name
from medmeta.models.staged import StagedNetwork
from medmeta.models.threads import one_thread
from medmeta.progress import Progress, silent
from medmeta.scans.intensity import model_image
from medmeta.scans.scan import Scan

#: The scan is read at this multiple of the network's side, of which one view takes the centre.
MARGIN = 3 / 2
#: Raised whenever the same scan and weights give other features, so that kept ones are not mistaken for them.
READING = 5
VIEWS = 2
#: Bytes of maps kept; a scan's maps take 38 KB where ``conv6`` of the default backbone starts.
MAP_BYTES = 1 << 30


class Memory:
    """Tensors by key, thread-safe; beyond ``capacity`` the least recently used go.

    Args:
        capacity: most that is kept, in the unit of ``weigh``.
        weigh: what one tensor counts.
    """

    def __init__(self, capacity: int, weigh: Callable[[Tensor], int]) -> None:
        self._capacity = capacity
        self._weigh = weigh
        self._total = 0
        self._kept: OrderedDict[Hashable, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def recall(self, key: Hashable) -> Tensor | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: Hashable, value: Tensor) -> None:
        with self._lock:
            if key in self._kept:
                self._total -= self._weigh(self._kept.pop(key))
            self._kept[key] = value
            self._total += self._weigh(value)
            while self._total > self._capacity:
                self._total -= self._weigh(self._kept.popitem(last=False)[1])


class PairedMemory:
    """Two memories as one, of rows that hold the first's ``size`` values and then the second's."""

    def __init__(self, first: Memory, second: Memory, size: int) -> None:
        self._first, self._second, self._size = first, second, size

    def recall(self, key: Hashable) -> Tensor | None:
        first, second = self._first.recall(key), self._second.recall(key)
        return None if first is None or second is None else torch.cat([first, second])

    def keep(self, key: Hashable, value: Tensor) -> None:
        self._first.keep(key, value[: self._size].clone())
        self._second.keep(key, value[self._size :].clone())


def views(image: Tensor, side: int) -> Tensor:
    """Two looks as unlike as can be: the whole image turned left by a quarter, and its centre enlarged and mirrored.

    Each shows what the other does not, so that two come close to four upright and mirrored ones, in half the time.

    Args:
        image: ``(3, s, s)`` float32 in [0, 1] with ``s >= side``.
        side: rows and columns of each view, in pixels.

    Returns:
        ``(2, 3, side, side)``.
    """
    whole = F.interpolate(
        image[None], size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )
    start = (image.shape[-1] - side) // 2
    centre = image[None, :, start : start + side, start : start + side]
    return torch.cat([whole.rot90(1, (-2, -1)), centre.flip(-1)])


class FeatureExtractor:
    """Frozen backbone plus views; thread-safe, and the same for a scan alone as in a batch.

    One scan's views make one forward pass, so no result depends on which other scans were asked for
    (and on a CPU two images fit its caches better than forty).

    Args:
        backbone: a loaded backbone.
        device: where to compute.
        remember: how many scans' features are kept, the least recently used going first.
    """

    def __init__(self, backbone: Backbone, device: torch.device, remember: int = 10_000) -> None:
        self.backbone = backbone
        self.device = device
        self._network = backbone.network.to(device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._known = Memory(remember, lambda _: 1)
        self._known_maps = Memory(MAP_BYTES, lambda maps: maps.nbytes)
        self._lock = threading.Lock()
        self._companion: FeatureExtractor | None = None
        # Scans are prepared side by side; on a CPU they are computed side by side too.
        self._workers = torch.get_num_threads()

    @property
    def device_name(self) -> str:
        return device_name(self.device)

    @property
    def size(self) -> int:
        """Length of a feature vector."""
        return self.backbone.card.features

    @property
    def blocks(self) -> tuple[int, ...]:
        """Lengths of the blocks of :meth:`statistics`; the first is what :meth:`extract` gives."""
        return self.trunk.statistic_sizes

    def extract(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        """Feature vectors, ``(n, size)`` float32 on the CPU, averaged over the views."""
        return self.statistics(scans, progress=progress)[:, : self.size]

    def statistics(self, scans: Sequence[Scan], *, progress: Progress = silent) -> Tensor:
        """Means, deviations and covariances of several stages, averaged over the views, as float32 on the CPU.

        The features of `extract` are their first block: one pass of the network gives both.

        Returns:
            ``(n, sum(blocks))``.
        """
        rows = self._side_by_side(
            scans, self._known, _key, lambda scan: self._row(self.stack(scan)), progress
        )
        return torch.stack(rows) if rows else torch.empty(0, sum(self.blocks))

    def statistics_beside(
        self, other: FeatureExtractor, scans: Sequence[Scan], *, progress: Progress = silent
    ) -> Tensor:
        """`statistics` of this extractor, then of another whose trunk takes the same views: each scan is prepared once.

        Returns:
            ``(n, sum(blocks) + sum(other.blocks))`` float32 on the CPU.
        """
        both, size = (self, other), sum(self.blocks)

        def compute(scan: Scan) -> Tensor:
            prepared, key = self.stack(scan), _key(scan)
            known = [each._known.recall(key) for each in both]
            return torch.cat(
                [each._row(prepared) if row is None else row for each, row in zip(both, known, strict=True)]
            )

        memory = PairedMemory(self._known, other._known, size)
        rows = self._side_by_side(scans, memory, _key, compute, progress)
        return torch.stack(rows) if rows else torch.empty(0, size + sum(other.blocks))

    def maps(self, scans: Sequence[Scan], start: str, *, progress: Progress = silent) -> Tensor:
        """What stage ``start`` takes for each view: ``(n, 2, C, h, w)`` float16 on the CPU, views as in `stack`.

        Raises:
            ModelError: the backbone has no such stage.
        """
        trunk = self.trunk
        trunk.position(start)

        def compute(scan: Scan) -> Tensor:
            with torch.no_grad():
                return trunk.run(self.stack(scan).to(self.device), stop=start).half().cpu().contiguous()

        rows = self._side_by_side(
            scans, self._known_maps, lambda scan: (_key(scan), start), compute, progress
        )
        return torch.stack(rows) if rows else torch.empty(0, VIEWS, 0, 0, 0, dtype=torch.float16)

    def remember(self, scans: Sequence[Scan], rows: Tensor) -> None:
        """Take over :meth:`statistics` of scans that were computed earlier, ``(n, sum(blocks))``."""
        for scan, row in zip(scans, rows, strict=True):
            self._known.keep(_key(scan), row)

    def companion(self, load: Callable[[], Backbone]) -> FeatureExtractor:
        """A second extractor of the same kind on the same device, whose backbone ``load`` gives on the first call."""
        with self._lock:
            if self._companion is None:
                self._companion = type(self)(load(), self.device)
            return self._companion

    @property
    def trunk(self) -> StagedNetwork:
        """The frozen network as stages; copy before changing anything."""
        return self._network

    def _side_by_side(
        self,
        scans: Sequence[Scan],
        memory: Memory | PairedMemory,
        key: Callable[[Scan], Hashable],
        compute: Callable[[Scan], Tensor],
        progress: Progress,
    ) -> list[Tensor]:
        """One tensor a scan: recalled, or else computed (on a CPU one scan a core) and remembered."""
        rows = [memory.recall(key(scan)) for scan in scans]
        new = [position for position, row in enumerate(rows) if row is None]
        with ExitStack() as stack:
            if new:  # threads cost more than looking up what is known
                stack.enter_context(one_thread())
                pool = stack.enter_context(ThreadPoolExecutor(self._workers, "medmeta-features"))
                stack.callback(pool.shutdown, cancel_futures=True)
                found = pool.map(compute, [scans[position] for position in new])
                for number, (position, row) in enumerate(zip(new, found, strict=True), start=1):
                    memory.keep(key(scans[position]), row)
                    rows[position] = row
                    progress(number / len(new), f"Looked at scan {number} of {len(new)}")
        progress(1.0, f"Looked at all {len(scans)} scans")
        return [row for row in rows if row is not None]

    @torch.no_grad()
    def _row(self, prepared: Tensor) -> Tensor:
        return self.trunk.statistics(prepared.to(self.device)).mean(dim=0).cpu()

    def stack(self, scan: Scan) -> Tensor:
        """The normalised views of one scan, ``(2, 3, side, side)`` on the CPU."""
        card = self.backbone.card
        image = torch.from_numpy(model_image(scan, round(card.side * MARGIN)))
        return card.normalise(views(image, card.side)).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """The bare backbone: ``(n, 3, side, side)`` normalised images to ``(n, size)`` features."""
        out: Tensor = self._network(images.to(self.device))
        return out


def _key(scan: Scan) -> str:
    """What decides a scan's features: its pixels, which way round they are shown, and which of them are padding."""
    return f"{scan.id}{'-' if scan.monochrome1 else '+'}{scan.padding or ''}"
