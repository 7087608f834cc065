"""How the scans of a task look to the model, for the checks that compare them; kept in memory alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medmeta.errors import MedMetaError
from medmeta.progress import Progress, silent
from medmeta.scans.strangers import LEAST, Kinds
from medmeta.workspace.records import Entry
from medmeta.workspace.volumes import used

if TYPE_CHECKING:
    from torch import Tensor

    from medmeta.scans.scan import Scan
    from medmeta.workspace.store import Store

#: Scans of a task that are compared, evenly chosen where there are more: each takes a tenth of a second.
MOST = 400
#: Vectors kept, 2.5 KB each; the oldest go first.
_KEPT = 10_000
#: Times that getting the model ready may fail for want of something that may come back.
_TRIES = 3


class Extractor(Protocol):
    """What looks at scans; `medmeta.models.twin.TwinExtractor` is one."""

    def extract(self, scans: Sequence[Scan], /) -> Tensor:
        """Features ``(n, D)``; those of `Kinds.means` come first."""


class Looks:
    """Feature vectors by content hash; safe to use from several threads.

    The extractor remembers a scan looked at here, so that adapting need not look again.

    Args:
        load: gives the extractor; its first call may take seconds.
    """

    def __init__(self, load: Callable[[], Extractor]) -> None:
        self._load = load
        self._known: dict[str, NDArray[np.float16] | None] = {}
        self._unable = False
        self._tries = _TRIES
        self._resting = 0
        self._lock = threading.Lock()
        self.kinds: Kinds | None = None

    def __call__(self) -> dict[str, NDArray[Any]]:
        """The vectors known, ``(D,)`` float16 each."""
        return {scan_id: vector for scan_id, vector in self._known.copy().items() if vector is not None}

    def missing(self, entries: Sequence[Entry]) -> list[Entry]:
        """The scans among those of a task that should be compared and are not known yet; none without a model."""
        if self._unable:
            return []
        wanted = used([entry for entry in entries if entry.role != "predict"])
        if len(wanted) < LEAST:
            return []
        step = max(1.0, len(wanted) / MOST)
        chosen = [wanted[int(place * step)] for place in range(int(len(wanted) / step))]
        return [entry for entry in chosen if entry.scan_id not in self._known]

    def complete(self, store: Store, task_id: str, progress: Progress = silent) -> None:
        """Look at what is missing of a task, until all is known or `resting` begins. Without a usable model nothing
        happens: whatever needs one reports it.

        Raises:
            CancelledError: ``progress`` asked to stop; what was looked at stays known.
        """
        while left := self.missing(store.entries(task_id)):
            progress(0.0, "Comparing the scans: getting the model ready")
            try:
                extractor, kinds = self._ready()
            except (MedMetaError, ImportError):
                self._unable = True
                return
            except (OSError, RuntimeError):  # memory ran out, say: worth another try, but not for ever
                self._tries -= 1
                self._unable = self._tries <= 0
                return
            for position, entry in enumerate(left):
                if self._resting:
                    return
                progress(position / len(left), f"Comparing the scans, {position + 1} of {len(left)}")
                self._known[entry.scan_id] = _look(store, extractor, entry, kinds.means.shape[1])
        while len(self._known) > _KEPT:
            self._known.pop(next(iter(self._known)))

    @property
    def at_rest(self) -> bool:
        return self._resting > 0

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Within the block nothing is looked at: both would look at the same scans, and share the processor."""
        with self._lock:
            self._resting += 1
        try:
            yield
        finally:
            with self._lock:
                self._resting -= 1

    def _ready(self) -> tuple[Extractor, Kinds]:
        from medmeta.models.kinds import load_kinds  # torch comes with it

        extractor = self._load()
        if self.kinds is None:
            self.kinds = load_kinds()
        return extractor, self.kinds


def _look(store: Store, extractor: Extractor, entry: Entry, size: int) -> NDArray[np.float16] | None:
    try:
        vector: NDArray[np.float16] = extractor.extract([store.scan(entry)])[0, :size].half().numpy()
    except (MedMetaError, RuntimeError):  # gone, damaged, too large: whoever uses the scan says so
        return None
    return vector
