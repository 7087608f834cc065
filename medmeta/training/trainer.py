"""`MetaTrainer`: the outer loop over tasks, step by step or all in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medmeta.errors import ModelError, TaskError
from medmeta.models.backbones import pick_device
from medmeta.models.episodic import EpisodicModel
from medmeta.progress import Progress, silent
from medmeta.tasks.builder import TaskDistributionBuilder
from medmeta.tasks.meta_task import FeatureTask, MetaTask
from medmeta.training import loop
from medmeta.training.distributed import ALONE, Workers
from medmeta.training.loop import TrainingReport
from medmeta.training.outer import MIXING, TRAINING, accuracy, run_episodes, seed_of
from medmeta.training.schedule import rate
from medmeta.training.tensors import FeatureBank

#: ``mix(batch, position, generator)``: what is trained on in place of ``batch[position]``.
Mix = Callable[[Sequence[FeatureTask], int, torch.Generator], FeatureTask]


@dataclass(frozen=True, eq=False)
class BatchOutcome:
    """What each task of the last batch gave, over all processes; ``(b,)`` float64 on the CPU.

    Attributes:
        support_loss, query_loss: of each task.
        accuracy: share of its query rows answered right.
        synthetic: 1 where something made up was trained on in its place.
    """

    support_loss: Tensor
    query_loss: Tensor
    accuracy: Tensor
    synthetic: Tensor


class MetaTrainer:
    """Meta-trains an `EpisodicModel`: the mean query loss of a batch of tasks is brought down by AdamW.

    ``fit`` does everything. The same training step by step::

        support_loss, query_loss = trainer.prepare_meta_update(task_batch)
        meta_grad = trainer.compute_meta_gradient(query_loss)
        trainer.update_meta_model(meta_grad)

    Chance depends on ``seed``, the step and a task's place in its batch alone. So a training that is resumed or
    spread over processes draws what an uninterrupted one draws, and no state of a generator needs keeping.

    Args:
        meta_model_arch: the model, or a configuration that ``build`` turns into one.
        inner_loop_steps, inner_lr: where given, handed to the model as ``inner_steps`` and ``inner_lr`` if it has them.
        meta_lr: highest learning rate of the outer loop; see `medmeta.training.schedule`.
        build: makes a model of a configuration.
        weight_decay: decoupled L2 on the meta-parameters (Loshchilov and Hutter 2019, arXiv:1711.05101).
        clip: largest norm of the whole meta-gradient.
        mixed_precision: matrix products of the episodes in bfloat16.
        gradient_checkpointing: recompute each task's episode in the backward pass instead of keeping it.
        mix: makes synthetic tasks of a batch, for example a `medmeta.training.mixing.Mixing`.
        patience: epochs without a better left-out score before ``fit`` stops.
        seed: of everything random in here; the task source has its own.
        device: ``auto``, ``cpu``, ``cuda``.
        workers: the processes that train together.

    Raises:
        ModelError: a configuration without ``build``, a model without parameters to train, or no such device.
    """

    def __init__(
        self,
        meta_model_arch: EpisodicModel | Mapping[str, Any],
        inner_loop_steps: int | None = None,
        meta_lr: float = 1e-3,
        inner_lr: float | None = None,
        *,
        build: Callable[[Mapping[str, Any]], EpisodicModel] | None = None,
        weight_decay: float = 1e-4,
        clip: float = 1.0,
        mixed_precision: bool = False,
        gradient_checkpointing: bool = False,
        mix: Mix | None = None,
        patience: int = 10,
        seed: int = 0,
        device: str = "auto",
        workers: Workers = ALONE,
    ) -> None:
        if isinstance(meta_model_arch, Mapping):
            if build is None:
                raise ModelError("a configuration needs build=, the function that makes a model of it")
            model = build(meta_model_arch)
        else:
            model = meta_model_arch
        for name, value in (("inner_steps", inner_loop_steps), ("inner_lr", inner_lr)):
            if value is not None and hasattr(model, name):
                setattr(model, name, value)
        self.device = pick_device(device)
        self.model = model.to(self.device)
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if not parameters:
            raise ModelError(f"{type(model).__name__} has no parameter to train; name a dynamic layer")
        self.optimiser = torch.optim.AdamW(parameters, lr=meta_lr, weight_decay=weight_decay)
        self.settings: dict[str, Any] = {
            "model": type(model).__name__,
            "architecture": dict(meta_model_arch) if isinstance(meta_model_arch, Mapping) else None,
            "parameters": {name: list(value.shape) for name, value in model.named_parameters()},
            "inner_loop_steps": inner_loop_steps,
            "inner_lr": inner_lr,
            "meta_lr": meta_lr,
            "weight_decay": weight_decay,
            "clip": clip,
            "mixed_precision": mixed_precision,
            "mix": repr(mix),
            "patience": patience,
            "seed": seed,
        }
        self.meta_lr, self.clip, self.patience, self.seed = meta_lr, clip, patience, seed
        self.mixed_precision, self.gradient_checkpointing = mixed_precision, gradient_checkpointing
        self.mix, self.workers = mix, workers
        self.step = 0
        #: steps of the whole training, which the learning rate's schedule spans; None keeps the rate constant.
        self.total_steps: int | None = None
        self.outcome: BatchOutcome | None = None

    def prepare_meta_update(self, task_batch: Sequence[FeatureTask]) -> tuple[Tensor, Tensor]:
        """Run the episode of every task.

        Args:
            task_batch: the whole batch, the same in every process; each computes its share of it.

        Returns:
            mean support loss and mean query loss, scalars; with several processes this one's part of the means,
            which sum up to them. What each task gave stands in ``outcome``.

        Raises:
            TaskError: the batch is empty.
        """
        if not task_batch:
            raise TaskError("a batch needs at least one task; found none")
        self.model.train()
        # A process without a task of its own still takes part in the sums.
        support_loss = query_loss = torch.zeros((), device=self.device, requires_grad=True)
        rows = torch.zeros(len(task_batch), 4, dtype=torch.float64)
        places = list(self.workers.share(len(task_batch)))
        tasks = [self._mixed(task_batch, place).to(self.device) for place in places]
        results = run_episodes(
            self.model,
            tasks,
            [seed_of(self.seed, TRAINING, self.step, place) for place in places],
            mixed_precision=self.mixed_precision,
            recompute=self.gradient_checkpointing,
        )
        for place, task, result in zip(places, tasks, results, strict=True):
            # Added to a float32 zero, a bfloat16 loss is summed in float32 and a float64 one in float64.
            support_loss = support_loss + result.support_loss / len(task_batch)
            query_loss = query_loss + result.query_loss / len(task_batch)
            losses = (result.support_loss.item(), result.query_loss.item())
            rows[place] = torch.tensor([*losses, accuracy(result, task), task.synthetic], dtype=torch.float64)
        self.outcome = BatchOutcome(*self.workers.total(rows.to(self.device)).cpu().unbind(dim=1))
        return support_loss, query_loss

    def _mixed(self, batch: Sequence[FeatureTask], position: int) -> FeatureTask:
        if self.mix is None:
            return batch[position]
        chance = torch.Generator().manual_seed(seed_of(self.seed, MIXING, self.step, position))
        return self.mix(batch, position, chance)

    def compute_meta_gradient(self, query_loss: Tensor) -> dict[str, Tensor]:
        """The model's meta-gradient by parameter name, summed over processes, its whole norm at most ``clip``."""
        gradient = self.workers.total_all(self.model.meta_gradient(query_loss))
        norm = torch.linalg.vector_norm(torch.stack([value.norm() for value in gradient.values()]))
        factor = (self.clip / norm.clamp(min=1e-12)).clamp(max=1.0)
        return {name: value * factor for name, value in gradient.items()}

    def update_meta_model(self, meta_grad: Mapping[str, Tensor]) -> bool:
        """One AdamW step.

        Returns:
            False when the gradient is not finite: the model then stays as it is and the step only counts.
        """
        factor = 1.0 if self.total_steps is None else rate((self.step + 1) / (self.total_steps + 1))
        self.optimiser.param_groups[0]["lr"] = self.meta_lr * factor
        self.step += 1
        finite = all(bool(value.isfinite().all()) for value in meta_grad.values())
        if finite:
            parameters = dict(self.model.named_parameters())
            for name, value in meta_grad.items():
                parameters[name].grad = value
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
        self.workers.agree(self.model)
        return finite

    def fit(
        self,
        train_builder: TaskDistributionBuilder,
        features: FeatureBank,
        *,
        epochs: int,
        out: Path,
        validation: Sequence[MetaTask] = (),
        progress: Progress = silent,
    ) -> TrainingReport:
        """Train, or go on where a training into ``out`` was stopped; see `medmeta.training.loop.fit`."""
        return loop.fit(
            self, train_builder, features, epochs=epochs, out=out, validation=validation, progress=progress
        )
