"""Multi-scale memory of past tasks: what adaptation learned, found again by descriptor.

Three scales: attention over slots of single past tasks (Graves et al. 2014, arXiv:1410.5401), an LSTM over the most
recent ones, and a slow average a data set. What a task reads is added to its start through gates that begin at
zero. Tasks of a data set never read what the same data set wrote: on it, memory would be a look at the answers.
Written only in train mode; at meta-test it is frozen. All of it is in ``state_dict`` and survives a restart.
"""

from __future__ import annotations

import zlib

import torch
from torch import Tensor, nn

#: Tasks the LSTM reads.
RECENT = 8
#: Share of a new task in its data set's slow average.
SLOW = 0.05
EMPTY = -1


class TaskMemory(nn.Module):
    """Slots of (descriptor, what adaptation changed).

    Args:
        descriptor: length of a descriptor.
        size: P, length of what is stored.
        slots: past tasks kept, the oldest overwritten.
        sources: data sets with a slow average; later ones take the last one's place.
        hidden: width of the LSTM.
    """

    keys: Tensor
    values: Tensor
    origins: Tensor
    written: Tensor
    slow: Tensor
    slow_origins: Tensor

    def __init__(
        self, descriptor: int, size: int, slots: int = 128, sources: int = 32, hidden: int = 32
    ) -> None:
        super().__init__()
        self.query = nn.Linear(descriptor, descriptor, bias=False)
        self.lstm = nn.LSTM(descriptor + size, hidden)
        self.recent = nn.Linear(hidden, size)
        nn.init.zeros_(self.recent.weight)
        nn.init.zeros_(self.recent.bias)
        self.gates = nn.Parameter(torch.zeros(2))  # of slots and slow average; the LSTM's is its zero output
        self.register_buffer("keys", torch.zeros(slots, descriptor))
        self.register_buffer("values", torch.zeros(slots, size))
        self.register_buffer("origins", torch.full((slots,), EMPTY, dtype=torch.int64))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))
        self.register_buffer("slow", torch.zeros(sources, size))
        self.register_buffer("slow_origins", torch.full((sources,), EMPTY, dtype=torch.int64))
        self.double()

    def read(self, descriptor: Tensor, source: str) -> Tensor:
        """What past tasks of other data sets suggest adding to the start, ``(P,)``; zeros when there are none."""
        own = torch.tensor(source_codes(source))
        allowed = (self.origins != EMPTY) & ~torch.isin(self.origins, own)
        found = torch.zeros_like(self.values[0])
        if bool(allowed.any()):
            match = self.keys @ self.query(descriptor) / descriptor.shape[0] ** 0.5
            attention = torch.softmax(match.masked_fill(~allowed, -torch.inf), dim=0)
            found = found + torch.tanh(self.gates[0]) * (attention @ self.values)
            found = found + self._read_recent(allowed)
        others = (self.slow_origins != EMPTY) & ~torch.isin(self.slow_origins, own)
        if bool(others.any()):
            found = found + torch.tanh(self.gates[1]) * self.slow[others].mean(dim=0)
        return found

    def _read_recent(self, allowed: Tensor) -> Tensor:
        slots = len(self.keys)
        newest = int(self.written)
        order = [i % slots for i in range(max(0, newest - slots), newest)]
        recent = [i for i in order if bool(allowed[i])][-RECENT:]
        sequence = torch.cat([self.keys[recent], self.values[recent]], dim=1)[:, None, :]
        out, _ = self.lstm(sequence)
        suggested: Tensor = self.recent(out[-1, 0])
        return suggested

    @torch.no_grad()
    def write(self, descriptor: Tensor, learned: Tensor, source: str) -> None:
        """Store what adaptation changed; does nothing in eval mode, nor for a task mixed from several sets."""
        codes = source_codes(source)
        if not self.training or len(codes) > 1:
            return
        (code,) = codes
        # New tensors, not new values: a task of the same batch may still need the old ones for its gradient.
        slot = int(self.written) % len(self.keys)
        self.keys = _replaced(self.keys, slot, descriptor)
        self.values = _replaced(self.values, slot, learned)
        self.origins = _replaced(self.origins, slot, torch.tensor(code))
        self.written = self.written + 1
        known = (self.slow_origins == code).nonzero()
        free = (self.slow_origins == EMPTY).nonzero()
        if len(known):
            place = int(known[0, 0])
            learned = self.slow[place] + SLOW * (learned - self.slow[place])
        else:
            place = int(free[0, 0]) if len(free) else len(self.slow) - 1
        self.slow = _replaced(self.slow, place, learned)
        self.slow_origins = _replaced(self.slow_origins, place, torch.tensor(code))


def _replaced(rows: Tensor, place: int, row: Tensor) -> Tensor:
    changed = rows.clone()
    changed[place] = row.detach()
    return changed


def source_codes(source: str) -> list[int]:
    """Names of the sets behind a task (``"a+b"`` where two are mixed) as numbers the same on every machine."""
    return [zlib.crc32(name.encode()) for name in source.split("+")]
