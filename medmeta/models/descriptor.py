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

from medmeta.models.feature_space import Grams
from medmeta.models.kernel_ridge import Folds, left_out_scores
from medmeta.tasks.meta_task import FeatureTask

#: DICOM Modality (0008,0060), PS3.3 C.7.3.1.1.1: those with images a model here is likely to see.
MODALITIES = ("CT", "MR", "CR", "DX", "MG", "US", "XA", "PT", "NM", "OP", "OPT", "SM", "GM", "XC", "ES")
BODY_PART_BUCKETS = 16
#: Ridge strength at which each block's left-out loss is read, and the factor on its scores.
PROBE_STRENGTH, PROBE_TEMPERATURE = 0.1, 6.0


class TaskDescriptor(nn.Module):
    """Maps a support set to ``(size,)``.

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

    def forward(self, task: FeatureTask, grams: Grams, folds: Folds, generator: torch.Generator) -> Tensor:
        """Describe a support set; ``generator`` decides what is dropped in train mode."""
        along = grams.along.sum(dim=0)
        joined = self.spread(self._drop(class_spread(along, task.support_targets, task.ways), generator))
        joined = joined + self.numbers(self._drop(numbers(task, grams, folds), generator))
        tags, text = tag_vector(task.modality, task.body_part), task.text
        if self._shown(generator):
            joined = joined + self.tags(tags.to(joined))
        if self._shown(generator) and text is not None:
            joined = joined + self.text(text.to(joined))
        out: Tensor = torch.tanh(self.mix(F.relu(joined)))
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


def numbers(task: FeatureTask, grams: Grams, folds: Folds) -> Tensor:
    """Counts, and how well each block alone tells left-out scans apart; ``(4 + 3 * B,)``."""
    n, ways = len(task.support), task.ways
    counts = torch.bincount(task.support_targets, minlength=ways).to(torch.float64)
    log_ways = torch.tensor(float(ways), dtype=torch.float64).log()
    found = [
        torch.tensor(float(n), dtype=torch.float64).log() / 5.0,
        log_ways / 3.0,
        counts.clamp(min=1).log().mean() / 3.0,
        counts.min() / counts.max(),
    ]
    targets = task.support_targets
    judged = folds.judged
    same = targets[:, None] == targets[None, :]
    apart = task.support_groups[:, None] != task.support_groups[None, :]
    strength = torch.tensor(PROBE_STRENGTH, dtype=torch.float64)
    for gram in grams.gram * len(grams.gram):  # each block at unit length
        scores, _ = left_out_scores(gram, targets, ways, folds, strength)
        if bool(judged.any()):
            loss = F.cross_entropy(PROBE_TEMPERATURE * scores[judged], targets[judged]) / log_ways
            right = (scores[judged].argmax(dim=1) == targets[judged]).to(torch.float64).mean()
        else:
            loss, right = torch.ones((), dtype=torch.float64), 1.0 / torch.exp(log_ways)
        found += [loss, right]
        near, far = gram[same & apart], gram[~same]
        found.append(near.mean() - far.mean() if len(near) else torch.zeros((), dtype=torch.float64))
    return torch.stack(found)


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
