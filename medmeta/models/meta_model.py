"""`MetaModel`: what tasks share. It reads a support set and gives a task-specific head, generated and then adapted.

Path of one task: embed -> describe -> generate a start (hypernetwork, memory) -> at most eight AdamW steps on the
left-out loss of the ridge anchor -> stack of the head at the start, the adapted head and a linear probe. All
parts are corrections that begin at zero: untrained, the model is the closed-form anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.models import heads
from medmeta.models.adamw import adamw
from medmeta.models.descriptor import TaskDescriptor
from medmeta.models.episodic import EpisodeResult, EpisodicModel
from medmeta.models.feature_space import Grams, block_scale, embed, grams, kernel, stretch
from medmeta.models.heads import INTERCEPT
from medmeta.models.hypernetwork import Hypernetwork
from medmeta.models.kernel_ridge import Folds, group_folds, left_out_scores
from medmeta.models.memory import TaskMemory
from medmeta.models.stack import Stack
from medmeta.models.task_parameters import Layout
from medmeta.tasks.meta_task import FeatureTask

#: Up to this many groups are left out one by one; more share ten folds.
MAX_SINGLE_FOLDS = 32
SHARED_FOLDS = 10
PROBE_STRENGTH = 0.03
HEADS = ("anchor", "adapted", "probe")


@dataclass(frozen=True)
class Parts:
    """Which parts are on; the ablation switches them one by one.

    Attributes:
        generation: the hypernetwork adds to the shared start. Off in the shipped model: with five data sets to learn
            from, it brought nothing on a sixth (`benchmarks.leave_one_out`).
        memory: past tasks add to it. Off until `benchmarks.leave_one_out` shows that it pays.
        metric: the meta-learned within-class covariance (``b * S_meta``) stretches the space.
        steps: inner AdamW steps, 0 to 8.
        probe: a logistic head stands in the stack. Off: it did worse than the two ridge heads.
        stack: heads share the answer by their left-out loss; off, the adapted head alone answers.
        text: descriptions are read where given.
        off: feature blocks, by position, that the heads ignore.
    """

    generation: bool = False
    memory: bool = False
    metric: bool = True
    steps: int = 8
    probe: bool = False
    stack: bool = True
    text: bool = True
    off: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Start:
    """Where a task's inner loop begins: ``vector (P,)``, ``rates (P,)`` and the ``descriptor`` behind them."""

    vector: Tensor
    rates: Tensor
    descriptor: Tensor


class MetaModel(EpisodicModel):
    """Meta-learned head over blocks of frozen features.

    Args:
        blocks: length of each feature block.
        centre: ``(D,)`` mean of the features over the meta-train sets.
        basis: ``(D, r)`` orthonormal directions, of `feature_space.within_class_basis`.
        variances: ``(r,)`` meta-train's within-class variance along them.
        parts: which parts are on.
        bound: largest generated change, on a log scale; see `Hypernetwork`.
        dropout: of what the descriptor reads, in train mode.
        slots: past tasks the memory keeps.
        anchor_l2: pull of the inner loop towards its start.
        seed: of the random start of descriptor, hypernetwork and memory.
    """

    centre: Tensor
    basis: Tensor
    variances: Tensor

    def __init__(
        self,
        blocks: Sequence[int],
        centre: Tensor,
        basis: Tensor,
        variances: Tensor,
        *,
        parts: Parts = Parts(),
        bound: float = 0.5,
        dropout: float = 0.2,
        slots: int = 128,
        anchor_l2: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.blocks = tuple(blocks)
        self.parts = parts
        self.anchor_l2 = anchor_l2
        self.register_buffer("centre", centre.to(torch.float64))
        self.register_buffer("basis", basis.to(torch.float64))
        self.register_buffer("variances", variances.to(torch.float64))
        self.layout = Layout(len(self.blocks), basis.shape[1], parts.off)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.descriptor = TaskDescriptor(len(self.blocks), basis.shape[1], dropout=dropout)
            size = self.descriptor.mix.out_features
            self.hypernetwork = Hypernetwork(
                size, self.layout.size, len(self.layout.group_sizes), bound=bound
            )
            self.memory = TaskMemory(size, self.layout.size, slots)
        start = torch.zeros(self.layout.size, dtype=torch.float64)
        start[0] = torch.tensor(0.1).log()
        self.start = nn.Parameter(start)
        #: b of ``a * S_task + b * S_meta + c * I``, relative to c and on a log scale; a is the ridge's part.
        self.log_metric = nn.Parameter(torch.tensor(1.1, dtype=torch.float64))
        self.log_rates = nn.Parameter(torch.full((len(self.layout.group_sizes),), -4.0, dtype=torch.float64))
        self.log_temperature = nn.Parameter(torch.full((len(HEADS),), 1.9, dtype=torch.float64))
        self.log_trust = nn.Parameter(torch.zeros((), dtype=torch.float64))

    @property
    def inner_steps(self) -> int:
        return self.parts.steps

    @inner_steps.setter
    def inner_steps(self, steps: int) -> None:
        self.parts = replace(self.parts, steps=steps)

    def embed(self, features: Tensor) -> Tensor:
        """Features ``(n, D)`` as an episode takes them; see `feature_space.embed`."""
        return embed(features, self.blocks, self.centre)

    def prepare(self, task: FeatureTask) -> tuple[Grams, Folds]:
        """Inner products of an embedded task, and the folds of its support."""
        support, query = task.support.to(torch.float64), task.query.to(torch.float64)
        found = grams(support, query, self.basis, self.blocks)
        groups = len(set(task.support_groups.tolist()))
        most = None if groups <= MAX_SINGLE_FOLDS else SHARED_FOLDS
        return found, group_folds(task.support_groups, task.support_targets, most)

    def begin(self, task: FeatureTask, products: Grams, folds: Folds, generator: torch.Generator) -> Start:
        """The task-specific start: shared, plus generated, plus remembered."""
        seen = task if self.parts.text else replace(task, text=None)
        descriptor = self.descriptor(seen, products, folds, generator)
        vector: Tensor = self.start
        log_rates: Tensor = self.log_rates
        if self.parts.metric:
            _, _, gains = self.layout.split(vector)
            share = self.log_metric.exp() * self.variances / self.variances.mean().clamp(min=1e-12)
            vector = torch.cat([vector[: -len(gains)], vector[-len(gains) :] - 0.5 * torch.log1p(share)])
        if self.parts.generation:
            generated = self.hypernetwork(descriptor)
            vector, log_rates = vector + generated.start, log_rates + generated.log_rates
        if self.parts.memory:
            vector = vector + self.memory.read(descriptor, task.source)
        sizes = torch.tensor(self.layout.group_sizes)
        return Start(vector, torch.repeat_interleave(log_rates.exp(), sizes), descriptor)

    def inner_loop(
        self, start: Start, task: FeatureTask, products: Grams, folds: Folds, *, exact: bool
    ) -> Tensor:
        """Adapt the start to the support's left-out loss; the adapted vector ``(P,)``."""
        targets, judged = task.support_targets, folds.judged
        temperature = self.log_temperature[1].exp()

        def loss(vector: Tensor) -> Tensor:
            scores, _ = self._left_out(vector, task, products, folds)
            return F.cross_entropy(temperature * scores[judged], targets[judged])

        if not bool(judged.any()):
            return start.vector
        vector, _ = adamw(
            start.vector,
            loss,
            start.rates,
            steps=self.parts.steps,
            decay=self.anchor_l2,
            create_graph=exact,
        )
        return vector

    def _left_out(
        self, vector: Tensor, task: FeatureTask, products: Grams, folds: Folds
    ) -> tuple[Tensor, Tensor]:
        strength, weights, gains = self.layout.split(vector)
        k = kernel(products.gram, products.along, products.along, weights, gains)
        return left_out_scores(k, task.support_targets, task.ways, folds, strength)

    def episode(self, task: FeatureTask, generator: torch.Generator) -> EpisodeResult:
        """Adapt and answer; see `EpisodicModel.episode`. Support and query are embedded features.

        The probe has no part in meta-training: it is fitted to convergence, and joins the stack afterwards.
        """
        products, folds = self.prepare(task)
        start = self.begin(task, products, folds, generator)
        vector = self.inner_loop(start, task, products, folds, exact=torch.is_grad_enabled())
        if self.parts.memory:
            self.memory.write(start.descriptor, vector - start.vector, task.source)
        chances, losses = [], []
        for number, values in enumerate((start.vector, vector)):
            scores, alpha = self._left_out(values, task, products, folds)
            _, weights, gains = self.layout.split(values)
            across = kernel(products.cross, products.cross_along, products.along, weights, gains)
            temperature = self.log_temperature[number].exp()
            chances.append(torch.log_softmax(temperature * ((across + INTERCEPT) @ alpha), dim=1))
            losses.append(self._judge(temperature * scores, task.support_targets, folds.judged))
        log_shares = torch.log_softmax(-torch.stack(losses) * self.log_trust.exp(), dim=0)
        if not self.parts.stack:
            log_shares = torch.log(torch.tensor([1e-30, 1.0], dtype=torch.float64))
        mixed = torch.logsumexp(torch.stack(chances) + log_shares[:, None, None], dim=0)
        query_loss = F.nll_loss(mixed, task.query_targets)
        support_loss = losses[-1].detach() / folds.judged.sum().clamp(min=1)
        return EpisodeResult(support_loss, query_loss, mixed.detach())

    @staticmethod
    def _judge(scores: Tensor, targets: Tensor, judged: Tensor) -> Tensor:
        """Summed left-out cross entropy of what could be judged; 0 where nothing could."""
        chances = torch.log_softmax(scores[judged], dim=1)
        return -chances.gather(1, targets[judged][:, None]).sum()

    def adapt(self, task: FeatureTask) -> Stack:
        """The stack of heads for a task, on embedded features; nothing of the model changes.

        Args:
            task: its ``support`` embedded by `feature_space.embed`; the query is not looked at.
        """
        generator = torch.Generator().manual_seed(0)  # nothing is drawn in eval mode
        with torch.no_grad():
            products, folds = self.prepare(
                replace(task, query=task.support[:0], query_targets=task.support_targets[:0])
            )
            start = self.begin(task, products, folds, generator)
            vector = self.inner_loop(start, task, products, folds, exact=False)
            fitted, judged = [], folds.judged
            targets = task.support_targets
            for values in (start.vector, vector):
                scores, alpha = self._left_out(values, task, products, folds)
                _, weights, gains = self.layout.split(values)
                scale = block_scale(weights, self.blocks)
                combined = (alpha.T @ task.support.to(torch.float64)) * scale
                fitted.append(
                    (stretch(combined, self.basis, gains**2) * scale, INTERCEPT * alpha.sum(dim=0), scores)
                )
            if self.parts.probe:
                fitted.append(self._probe(vector, task, folds))
            temperatures, losses = [], []
            for number, (_, _, scores) in enumerate(fitted):
                prior = float(self.log_temperature[number].exp())
                factor = heads.fit_temperature(scores[judged], targets[judged], prior=prior)
                temperatures.append(factor)
                losses.append(self._judge(factor * scores, targets, judged))
            shares = torch.softmax(-torch.stack(losses) * self.log_trust.exp(), dim=0)
            if not self.parts.stack:
                shares = F.one_hot(torch.tensor(1), len(fitted)).to(torch.float64)
        return Stack(
            torch.stack([weight for weight, _, _ in fitted]),
            torch.stack([bias for _, bias, _ in fitted]),
            torch.tensor(temperatures, dtype=torch.float64),
            shares,
        )

    def _probe(self, vector: Tensor, task: FeatureTask, folds: Folds) -> tuple[Tensor, Tensor, Tensor]:
        """Logistic regression in the adapted space: weight, bias and left-out scores."""
        _, weights, gains = self.layout.split(vector)
        scale = block_scale(weights, self.blocks)
        z = stretch(task.support.to(torch.float64) * scale, self.basis, gains)
        linear = heads.logistic(z, task.support_targets, task.ways, folds.masks, strength=PROBE_STRENGTH)
        scores = linear.scores(z)[folds.fold_of, torch.arange(len(z))]
        return stretch(linear.weight[0], self.basis, gains) * scale, linear.bias[0], scores
