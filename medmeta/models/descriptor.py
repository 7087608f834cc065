"""The task descriptor: what a support set looks like, without its classes' identity and without any query.

Set statistics (Zaheer et al. 2017, arXiv:1703.06114), DICOM modality and body part where every scan agrees, and
the embedded descriptions of task and classes. Reordering scans or classes leaves it unchanged.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.models.kernel_ridge import ridge
from medmeta.models.task_batch import TaskBatch

#: DICOM Modality (0008,0060), PS3.3 C.7.3.1.1.1: those with images a model here is likely to see.
MODALITIES = ("CT", "MR", "CR", "DX", "MG", "US", "XA", "PT", "NM", "OP", "OPT", "SM", "GM", "XC", "ES")
BODY_PART_BUCKETS = 16
#: Ridge strength at which each block's left-out loss is read, and the factor on its scores.
PROBE_STRENGTH, PROBE_TEMPERATURE = 0.1, 6.0


class TaskDescriptor(nn.Module):
    """Maps support sets to ``(T, size)``.

    Args:
        blocks: B, feature blocks.
        rank: r, basis directions.
        size: length of the descriptor.
        text_size: length of a description's embedding.
        dropout: chance that, in train mode, tags and text are each hidden, and that a statistic is dropped.
    """

    def __init__(
        self, blocks: int, rank: int, size: int = 32, text_size: int = 256, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.text_size = text_size
        self.dropout = dropout
        self.spread = nn.Linear(3 * rank, size)
        self.numbers = nn.Linear(4 + 3 * blocks, size)
        self.tags = nn.Linear(len(MODALITIES) + BODY_PART_BUCKETS, size, bias=False)
        self.text = nn.Linear(text_size, size, bias=False)
        self.mix = nn.Linear(size, size)
        self.double()

    def forward(self, batch: TaskBatch, generators: Sequence[torch.Generator]) -> Tensor:
        """Describe T support sets, ``(T, size)``; each task's generator decides what is dropped in train mode."""
        counted = numbers(batch)
        along = batch.products.along.sum(dim=1)
        rows = []
        for i, (task, generator) in enumerate(zip(batch.tasks, generators, strict=True)):
            spread = class_spread(along[i, : len(task.support)], task.support_targets, task.ways)
            joined = self.spread(self._drop(spread, generator))
            joined = joined + self.numbers(self._drop(counted[i], generator))
            tags, text = tag_vector(task.modality, task.body_part), task.text
            if self._shown(generator):
                joined = joined + self.tags(tags.to(joined))
            if self._shown(generator) and text is not None:
                joined = joined + self.text(text.to(joined))
            rows.append(joined)
        out: Tensor = torch.tanh(self.mix(F.relu(torch.stack(rows))))
        return out

    def _shown(self, generator: torch.Generator) -> bool:
        hidden = self.training and float(torch.rand((), generator=generator)) < self.dropout
        return not hidden

    def _drop(self, values: Tensor, generator: torch.Generator) -> Tensor:
        if not self.training or self.dropout == 0.0:
            return values
        keep = torch.rand(values.shape, generator=generator, dtype=values.dtype) >= self.dropout
        return values * keep / (1.0 - self.dropout)


def class_spread(along: Tensor, targets: Tensor, ways: int) -> Tensor:
    """Size of the mean, spread between class means and spread within classes along each direction, ``(3 * r,)``.

    Args:
        along: ``(n, r)`` support along the basis.
        targets: ``(n,)`` int64.
        ways: C.
    """
    members = F.one_hot(targets, ways).to(along)
    means = (members.T @ along) / members.sum(dim=0).clamp(min=1)[:, None]
    centre = means.mean(dim=0)
    between = (means - centre).pow(2).mean(dim=0)
    within = (along - means[targets]).pow(2).mean(dim=0)
    # Roots keep small spreads apart; the inputs carry no gradient, so a zero is no danger.
    return 10.0 * torch.cat([centre.abs(), between.sqrt(), within.sqrt()])


def numbers(batch: TaskBatch) -> Tensor:
    """Counts, and how well each block alone tells left-out scans apart; ``(T, 4 + 3 * B)``."""
    goals, gram = batch.goals, batch.products.gram
    tasks, blocks = gram.shape[:2]
    ways = goals.known.sum(dim=1).to(torch.float64)
    hot = F.one_hot(goals.targets, goals.known.shape[1]) * goals.present[:, :, None]
    counts = hot.sum(dim=1).to(torch.float64)
    logs = counts.clamp(min=1).log().where(goals.known, 0.0).sum(dim=1) / ways
    fewest = counts.where(goals.known, torch.inf).amin(dim=1)
    sizes = goals.present.sum(dim=1).to(torch.float64)
    found = [sizes.log() / 5.0, ways.log() / 3.0, logs / 3.0, fewest / counts.amax(dim=1)]
    alone = (gram * blocks).flatten(0, 1)  # each block at unit length
    each = goals.times(blocks)
    strength = torch.full((tasks * blocks,), PROBE_STRENGTH, dtype=torch.float64)
    scores, _ = ridge(alone, each, strength)
    judged = each.judged.sum(dim=1)
    known_ways = ways.repeat_interleave(blocks)
    loss = each.losses(PROBE_TEMPERATURE * scores) / (judged * known_ways.log())
    hits = (each.limited(scores).argmax(dim=2) == each.targets) & each.judged
    right = hits.sum(dim=1) / judged
    same = goals.targets[:, :, None] == goals.targets[:, None, :]
    both = goals.present[:, :, None] & goals.present[:, None, :]
    near = (same & both & ~goals.together).repeat_interleave(blocks, dim=0)
    far = (~same & both).repeat_interleave(blocks, dim=0)
    gap = _mean(alone, near) - _mean(alone, far)
    told = torch.stack(
        [
            loss.where(judged > 0, 1.0),
            right.where(judged > 0, 1.0 / known_ways),
            gap.where(near.any(dim=2).any(dim=1), 0.0),
        ],
        dim=1,
    )
    return torch.cat([torch.stack(found, dim=1), told.reshape(tasks, 3 * blocks)], dim=1)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen of ``(k, n, n)`` values; 0 where none is."""
    return values.where(chosen, 0.0).sum(dim=(1, 2)) / chosen.sum(dim=(1, 2)).clamp(min=1)


def tag_vector(modality: str | None, body_part: str | None) -> Tensor:
    """One-hot DICOM modality and hashed body part; zeros for what is unknown or not agreed upon."""
    vector = torch.zeros(len(MODALITIES) + BODY_PART_BUCKETS, dtype=torch.float64)
    if modality in MODALITIES:
        vector[MODALITIES.index(modality)] = 1.0
    if body_part:
        bucket = zlib.crc32(body_part.strip().upper().encode()) % BODY_PART_BUCKETS
        vector[len(MODALITIES) + bucket] = 1.0
    return vector


def agreed(values: Sequence[str | None]) -> str | None:
    """The value all scans share, or None."""
    found = set(values)
    return next(iter(found)) if len(found) == 1 else None
