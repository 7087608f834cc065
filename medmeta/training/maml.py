"""The MAML family as meta-trainable models: MAML, first-order MAML, ANIL and Reptile over one inner loop.

A row of a task's support or query is one scan's flattened input map of the tail (``C * h * w`` values).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.func import functional_call

from medmeta.models.backbones import Backbone
from medmeta.models.episodic import EpisodeResult, EpisodicModel
from medmeta.models.functional import TailClassifier, adapt_sgd, balanced_cross_entropy
from medmeta.models.inner_loop import InnerLoop
from medmeta.tasks.meta_task import FeatureTask


class Maml(EpisodicModel):
    """MAML (Finn et al. 2017, arXiv:1703.03400): the exact gradient through every inner step.

    In eval mode the inner loop runs first-order, which gives the same answer for less.

    Args:
        loop: the inner loop, whose tail and rates are the meta-parameters.
    """

    method: ClassVar[str] = "maml"
    #: Whether the outer gradient sees how inner gradients depend on the meta-parameters.
    exact: ClassVar[bool] = True
    head_only: ClassVar[bool] = False
    learn_rates: ClassVar[bool] = True

    def __init__(self, loop: InnerLoop) -> None:
        super().__init__()
        self.loop = loop

    @classmethod
    def of(cls, backbone: Backbone, start: str | None = None, steps: int = 5) -> Self:
        """Untrained, over a copy of the backbone's stages from ``start`` (default: the last one) on.

        Raises:
            ModelError: the backbone has no such stage.
        """
        options = {"steps": steps, "head_only": cls.head_only, "learn_rates": cls.learn_rates}
        return cls(InnerLoop.of(backbone, start, **options))

    def episode(self, task: FeatureTask, generator: torch.Generator) -> EpisodeResult:
        classifier = self.loop.classifier(task.ways)
        support, query = self.loop.rows(task.support), self.loop.rows(task.query)
        exact = self.exact and self.training and torch.is_grad_enabled()
        adapted = self.loop.adapt(classifier, support, task.support_targets, create_graph=exact)
        with torch.no_grad():
            reached = functional_call(classifier, adapted, (support,))
            support_loss = balanced_cross_entropy(reached, task.support_targets)
        logits = functional_call(classifier, adapted, (query,))
        query_loss = balanced_cross_entropy(logits, task.query_targets)
        query_loss = self.outer_loss(query_loss, classifier, adapted, query, task.query_targets)
        return EpisodeResult(support_loss, query_loss, logits.detach())

    def outer_loss(
        self,
        query_loss: Tensor,
        classifier: TailClassifier,
        adapted: dict[str, Tensor],
        query: Tensor,
        targets: Tensor,
    ) -> Tensor:
        """The scalar whose gradient moves the meta-parameters; its value is the query's loss."""
        return query_loss

    def save(self, path: Path, backbone: Backbone) -> None:
        """Write the meta-parameters as float16 safetensors with a JSON card, for the learner of the same name."""
        self.loop.save(path, backbone, {"method": self.method})

    @classmethod
    def load(cls, path: Path, backbone: Backbone) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: missing or altered, or of another method or backbone.
        """
        return cls(InnerLoop.load(path, backbone, cls.method))


class Fomaml(Maml):
    """First-order MAML (Finn et al. 2017, section 5.2): the gradient taken at the adapted parameters.

    Inner gradients count as constants, so the start receives the adapted parameters' gradient as it is, and the
    rates receive how the last point moves with them.
    """

    method = "fomaml"
    exact = False


class Anil(Maml):
    """ANIL (Raghu et al. 2020, arXiv:1909.09157): the classifier alone adapts; the exact gradient through it."""

    method = "anil"
    head_only = True


class Reptile(Maml):
    """Reptile (Nichol et al. 2018, arXiv:1803.02999): moves the start towards the adapted parameters.

    The inner loop runs on the support, where the answer is measured, and in train mode as many steps more on
    the query: Reptile differs from joint training only by what successive mini-batches of one task have in
    common (section 5.1). ``meta_gradient`` gives the start minus what was reached; averaging outer losses over
    tasks averages it. The classifier starts from zeros in every task, and rates are fixed.
    """

    method = "reptile"
    exact = False
    learn_rates = False

    def outer_loss(
        self,
        query_loss: Tensor,
        classifier: TailClassifier,
        adapted: dict[str, Tensor],
        query: Tensor,
        targets: Tensor,
    ) -> Tensor:
        if not self.training:
            return query_loss
        loop = self.loop
        with torch.no_grad():
            reached = adapt_sgd(classifier, adapted, query, targets, loop.steps, loop.rates(), False)
        pairs = ((value, reached[f"tail.{name}"]) for name, value in loop.tail.named_parameters())
        pull = torch.stack([0.5 * (value - end).square().sum() for value, end in pairs]).sum()
        return query_loss.detach() + pull - pull.detach()  # the value of one, the gradient of the other
