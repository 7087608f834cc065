"""`MetaModel`: what tasks share. It reads a support set and gives a task-specific head, generated and then adapted.

Path of one task: embed -> describe -> generate a start (hypernetwork, memory) -> at most eight AdamW steps on the
left-out loss of the ridge anchor -> stack of the head at the start, the adapted head and a linear probe. All
parts are corrections that begin at zero: untrained, the model is the closed-form anchor. `Parts` says which are on;
those that brought nothing on data sets left out are off, and then cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medmeta.models import heads
from medmeta.models.adamw import adamw
from medmeta.models.descriptor import TaskDescriptor
from medmeta.models.episodic import EpisodeResult, EpisodicModel
from medmeta.models.feature_space import block_scale, embed, kernel, primal, stretch
from medmeta.models.heads import INTERCEPT
from medmeta.models.hypernetwork import Hypernetwork
from medmeta.models.kernel_ridge import ridge
from medmeta.models.memory import TaskMemory
from medmeta.models.stack import Stack
from medmeta.models.task_batch import TaskBatch
from medmeta.models.task_parameters import Layout
from medmeta.tasks.meta_task import FeatureTask
from medmeta.tasks.splits import leave_one_group_out

#: Of the logistic probe, which is fitted anew for each fold.
PROBE_STRENGTH = 0.03
PROBE_FOLDS = 10
#: Ridge at the start, ridge at the adapted vector, logistic regression: where each has its temperature.
HEADS = ANCHOR, ADAPTED, PROBE = range(3)


@dataclass(frozen=True)
class Parts:
    """Which parts are on; the ablation switches them one by one.

    Attributes:
        generation: the hypernetwork adds to the shared start. Off in the shipped model: with five data sets to learn
            from, it brought nothing on a sixth (`benchmarks.leave_one_out`).
        memory: what past tasks' inner steps learned adds to it. Off: it brought nothing either.
        metric: the meta-learned within-class covariance (``b * S_meta``) stretches the space.
        steps: inner AdamW steps, 0 to 8. None: they brought nothing, the start being learned without them.
        probe: a logistic head stands in the stack. Off: it did worse than the two ridge heads.
        stack: heads share the answer by their left-out loss. Off: the adapted head alone answers, which without steps
            is the one at the start.
        text: descriptions are read where given.
        off: feature blocks, by position, that the heads ignore.
    """

    generation: bool = False
    memory: bool = False
    metric: bool = True
    steps: int = 0
    probe: bool = False
    stack: bool = False
    text: bool = True
    off: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Start:
    """Where the inner loops of T tasks begin: ``vector (T, P)`` and ``rates (T, P)``."""

    vector: Tensor
    rates: Tensor


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

    side_by_side: ClassVar[bool] = True
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

    @property
    def _reads_descriptors(self) -> bool:
        return self.parts.generation or self.parts.memory

    def prepare(self, tasks: Sequence[FeatureTask]) -> TaskBatch:
        """Embedded tasks, side by side."""
        return TaskBatch.of(tasks, self.basis, self.blocks)

    def describe(self, batch: TaskBatch, generators: Sequence[torch.Generator]) -> Tensor:
        """Descriptors ``(T, size)``; each task's generator decides what of it is hidden in train mode."""
        if not self.parts.text:
            batch = replace(batch, tasks=tuple(replace(task, text=None) for task in batch.tasks))
        described: Tensor = self.descriptor(batch, generators)
        return described

    def begin(self, batch: TaskBatch, descriptors: Tensor | None) -> Start:
        """The task-specific starts: shared, plus generated, plus remembered.

        Args:
            descriptors: of :meth:`describe`; without them nothing is generated or remembered.
        """
        vector: Tensor = self.start
        if self.parts.metric:
            share = self.log_metric.exp() * self.variances / self.variances.mean().clamp(min=1e-12)
            gains = -0.5 * torch.log1p(share)
            vector = vector + F.pad(gains, (len(vector) - len(gains), 0))
        vector = vector.expand(len(batch.tasks), -1)
        log_rates = self.log_rates.expand(len(batch.tasks), -1)
        if self.parts.generation and descriptors is not None:
            generated = self.hypernetwork(descriptors)
            vector, log_rates = vector + generated.start, log_rates + generated.log_rates
        if self.parts.memory and descriptors is not None:
            pairs = zip(descriptors, batch.tasks, strict=True)
            vector = vector + torch.stack([self.memory.read(found, task.source) for found, task in pairs])
        sizes = torch.tensor(self.layout.group_sizes, device=log_rates.device)
        return Start(vector, torch.repeat_interleave(log_rates.exp(), sizes, dim=1))

    def inner_loop(self, start: Start, batch: TaskBatch, *, exact: bool) -> Tensor:
        """Adapt the starts to the supports' left-out loss; the adapted vectors ``(T, P)``.

        A task in which nothing can be judged stays at its start.
        """
        goals, temperature = batch.goals, self.log_temperature[ADAPTED].exp()
        judged = goals.judged.sum(dim=1).clamp(min=1)

        def loss(vector: Tensor) -> Tensor:
            scores, _ = self.fit(vector, batch)
            return (goals.losses(temperature * scores) / judged).sum()

        steps, decay = self.parts.steps, self.anchor_l2
        vector, _ = adamw(start.vector, loss, start.rates, steps=steps, decay=decay, create_graph=exact)
        return vector

    def _answering(self, start: Tensor, adapted: Tensor) -> dict[int, Tensor]:
        """The vectors whose heads answer, by their place in :data:`HEADS`."""
        return {ANCHOR: start, ADAPTED: adapted} if self.parts.stack else {ADAPTED: adapted}

    def fit(self, vector: Tensor, batch: TaskBatch) -> tuple[Tensor, Tensor]:
        """Left-out scores ``(T, n, C)`` and dual coefficients ``(T, n, C)`` of the heads that vectors stand for."""
        strength, weights, gains = self.layout.split(vector)
        found = batch.products
        k = kernel(found.gram, found.along, found.along, weights, gains)
        return ridge(k, batch.goals, strength)

    def episode(self, task: FeatureTask, generator: torch.Generator) -> EpisodeResult:
        """Adapt and answer; see `EpisodicModel.episode`. Support and query are embedded features."""
        return self.episodes([task], [generator])[0]

    def episodes(
        self, tasks: Sequence[FeatureTask], generators: Sequence[torch.Generator]
    ) -> list[EpisodeResult]:
        """Adapt and answer for all tasks in one pass; what they write into the memory is read by later batches.

        The probe has no part in meta-training: it is fitted to convergence, and joins the stack afterwards.
        """
        batch = self.prepare(tasks)
        descriptors = self.describe(batch, generators) if self._reads_descriptors else None
        start = self.begin(batch, descriptors)
        vector = self.inner_loop(start, batch, exact=torch.is_grad_enabled())
        if self.parts.memory and descriptors is not None:
            for found, learned, task in zip(descriptors, vector - start.vector, tasks, strict=True):
                self.memory.write(found, learned, task.source)
        chances, losses = [], []
        for number, values in self._answering(start.vector, vector).items():
            scores, alpha = self.fit(values, batch)
            temperature = self.log_temperature[number].exp()
            answer = batch.goals.limited(temperature * self._across(values, alpha, batch))
            chances.append(torch.log_softmax(answer, dim=2))
            losses.append(batch.goals.losses(temperature * scores))
        log_shares = torch.log_softmax(-torch.stack(losses) * self.log_trust.exp(), dim=0)
        mixed = torch.logsumexp(torch.stack(chances) + log_shares[:, :, None, None], dim=0)
        right = -mixed.gather(2, batch.query_targets[:, :, None])[:, :, 0]
        query_losses = (right * batch.asked).sum(dim=1) / batch.asked.sum(dim=1)
        support_losses = losses[-1].detach() / batch.goals.judged.sum(dim=1).clamp(min=1)
        return [
            EpisodeResult(
                support_losses[i], query_losses[i], mixed[i, : len(task.query), : task.ways].detach()
            )
            for i, task in enumerate(tasks)
        ]

    def similarities(self, task: FeatureTask) -> Tensor:
        """``(n, n)`` inner products of an embedded support in the space where its adaptation starts."""
        with torch.no_grad():
            batch = self.prepare([task])
            descriptors = self.describe(batch, [torch.Generator()]) if self._reads_descriptors else None
            _, weights, gains = self.layout.split(self.begin(batch, descriptors).vector)
            found = batch.products
            return kernel(found.gram, found.along, found.along, weights, gains)[0]

    def _across(self, vector: Tensor, alpha: Tensor, batch: TaskBatch) -> Tensor:
        """Scores ``(T, m, C)`` of the queries by fits with dual coefficients ``alpha``."""
        _, weights, gains = self.layout.split(vector)
        found = batch.products
        k = kernel(found.cross, found.cross_along, found.along, weights, gains)
        return (k + INTERCEPT) @ alpha

    def adapt(self, task: FeatureTask) -> Stack:
        """The stack of heads for a task, on embedded features; nothing of the model changes.

        Args:
            task: its ``support`` embedded by `feature_space.embed`; the query is not looked at.
        """
        return self.adapt_all([task])[0]

    def adapt_all(self, tasks: Sequence[FeatureTask]) -> list[Stack]:
        """:meth:`adapt` of each task, in one pass: many small ones take little longer than one."""
        generators = [torch.Generator().manual_seed(0) for _ in tasks]  # nothing is drawn in eval mode
        with torch.no_grad():
            batch = self.prepare(
                [
                    replace(task, query=task.support[:0], query_targets=task.support_targets[:0])
                    for task in tasks
                ]
            )
            descriptors = self.describe(batch, generators) if self._reads_descriptors else None
            start = self.begin(batch, descriptors)
            answering = self._answering(start.vector, self.inner_loop(start, batch, exact=False))
            vectors = torch.stack(list(answering.values()))
            fits = [self.fit(values, batch) for values in vectors]
            scores, dual = (torch.stack(each) for each in zip(*fits, strict=True))
            return [
                self._stack(
                    task,
                    batch.goals.judged[i, : len(task.support)],
                    {number: values[i] for number, values in answering.items()},
                    batch.products.along[i, :, : len(task.support)],
                    scores[:, i, : len(task.support), : task.ways],
                    dual[:, i, : len(task.support), : task.ways],
                )
                for i, task in enumerate(tasks)
            ]

    def _stack(
        self,
        task: FeatureTask,
        judged: Tensor,
        vectors: Mapping[int, Tensor],
        along: Tensor,
        scores: Tensor,
        dual: Tensor,
    ) -> Stack:
        """The heads of one task: vectors ``(P,)`` by place in `HEADS`, their left-out scores and coefficients."""
        _, weights, gains = self.layout.split(torch.stack(list(vectors.values())))
        weight = primal(task.support.to(torch.float64), along, dual, weights, gains, self.basis, self.blocks)
        heads_of = zip(weight, INTERCEPT * dual.sum(dim=1), scores, strict=True)
        fitted = dict(zip(vectors, heads_of, strict=True))
        if self.parts.stack and self.parts.probe:
            fitted[PROBE] = self._probe(vectors[ADAPTED], task)
        temperatures, losses, targets = [], [], task.support_targets[judged]
        for number, (_, _, left_out) in fitted.items():
            prior = float(self.log_temperature[number].exp())
            factor = heads.fit_temperature(left_out[judged], targets, prior=prior)
            temperatures.append(factor)
            losses.append(F.cross_entropy(factor * left_out[judged], targets, reduction="sum"))
        return Stack(
            torch.stack([weight for weight, _, _ in fitted.values()]),
            torch.stack([bias for _, bias, _ in fitted.values()]),
            torch.tensor(temperatures, dtype=torch.float64),
            torch.softmax(-torch.stack(losses) * self.log_trust.exp(), dim=0),
        )

    def _probe(self, vector: Tensor, task: FeatureTask) -> tuple[Tensor, Tensor, Tensor]:
        """Logistic regression in the adapted space: weight, bias and left-out scores."""
        _, weights, gains = self.layout.split(vector)
        scale = block_scale(weights, self.blocks)
        z = stretch(task.support.to(torch.float64) * scale, self.basis, gains)
        groups = [str(code) for code in task.support_groups.tolist()]
        masks = [torch.ones(len(z), dtype=torch.bool)]
        fold_of = torch.zeros(len(z), dtype=torch.int64)
        for fold in leave_one_group_out(groups, task.support_targets.tolist(), PROBE_FOLDS):
            left_out = torch.tensor(fold.test)
            fold_of[left_out] = len(masks)
            masks.append(masks[0].index_fill(0, left_out, False))
        linear = heads.logistic(
            z, task.support_targets, task.ways, torch.stack(masks), strength=PROBE_STRENGTH
        )
        scores = linear.scores(z)[fold_of, torch.arange(len(z))]
        return stretch(linear.weight[0], self.basis, gains) * scale, linear.bias[0], scores
