"""What the outer loop asks of anything it meta-trains; ours and the MAML family answer alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from medmeta.tasks.meta_task import FeatureTask


@dataclass(frozen=True, eq=False)
class EpisodeResult:
    """What one task gave.

    Attributes:
        support_loss: scalar; what the inner loop ended at.
        query_loss: scalar, attached to the meta-parameters' graph: the outer loss.
        logits: ``(m, C)`` of the query, detached.
    """

    support_loss: Tensor
    query_loss: Tensor
    logits: Tensor


class EpisodicModel(nn.Module):
    """A model whose meta-parameters are its ``parameters()``; everything frozen is a buffer or outside it.

    Attributes:
        side_by_side: ``episodes`` is quicker than one episode after the other. Such a model takes chance from the
            generators alone, not from the global state that dropout layers use.
    """

    side_by_side: ClassVar[bool] = False

    @abstractmethod
    def episode(self, task: FeatureTask, generator: torch.Generator) -> EpisodeResult:
        """Adapt to the task's support and answer its query, differentiably where :meth:`meta_gradient` needs it.

        In train mode dropout, memory masking and memory writing are on; in eval mode the model is frozen and the
        same task gives the same answer.

        Args:
            task: support and query in feature space (or, for a tail, its input maps flattened by the caller).
            generator: the only source of chance.
        """

    def episodes(
        self, tasks: Sequence[FeatureTask], generators: Sequence[torch.Generator]
    ) -> list[EpisodeResult]:
        """:meth:`episode` of each of several tasks, with a generator each; at least one."""
        return [self.episode(task, chance) for task, chance in zip(tasks, generators, strict=True)]

    def meta_gradient(self, query_loss: Tensor) -> dict[str, Tensor]:
        """Gradient of an outer loss by parameter name; a first-order method overrides this with its estimate.

        A parameter the loss does not depend on gets zeros.
        """
        names, values = zip(*((n, p) for n, p in self.named_parameters() if p.requires_grad), strict=True)
        found = torch.autograd.grad(query_loss, values, allow_unused=True)
        return {
            name: torch.zeros_like(value) if gradient is None else gradient
            for name, value, gradient in zip(names, values, found, strict=True)
        }
