"""Epochs around the trainer's steps: validation on left-out data sets, checkpoints, early stopping, history.

The folder of a training holds ``checkpoint-<epoch>`` (to go on after a kill), ``best`` (the meta-model with the
highest left-out accuracy), each as safetensors with a JSON card, and ``history.jsonl``, a line an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medmeta.errors import ModelError, TaskError
from medmeta.models import weights
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.progress import Progress, silent
from medmeta.tasks.builder import TaskDistributionBuilder
from medmeta.tasks.meta_task import FeatureTask, MetaTask
from medmeta.tasks.samplers import MOST, difficulty
from medmeta.training import checkpoint
from medmeta.training.checkpoint import Checkpoint
from medmeta.training.early_stopping import EarlyStopping
from medmeta.training.outer import measure
from medmeta.training.tensors import FeatureBank

if TYPE_CHECKING:
    from medmeta.training.trainer import BatchOutcome, MetaTrainer

BEST = "best"
HISTORY = "history.jsonl"


@dataclass(frozen=True)
class TrainingReport:
    """What a training came to.

    Attributes:
        epochs, steps: done.
        seconds: wall clock, earlier runs of a resumed training included.
        best_epoch: the epoch whose model was kept, from 1.
        best_accuracy: its accuracy on the left-out tasks; None without validation.
        stopped_early: patience ran out.
        history: a row an epoch.
    """

    epochs: int
    steps: int
    seconds: float
    best_epoch: int
    best_accuracy: float | None
    stopped_early: bool
    history: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class _State:
    """Where a training stands after ``epoch`` epochs."""

    stopping: EarlyStopping
    epoch: int = 0
    seconds: float = 0.0
    history: tuple[Mapping[str, Any], ...] = field(default=())


def fit(
    trainer: MetaTrainer,
    source: TaskDistributionBuilder,
    features: FeatureBank,
    *,
    epochs: int,
    out: Path,
    validation: Sequence[MetaTask] = (),
    progress: Progress = silent,
) -> TrainingReport:
    """Train for ``epochs``, or go on where a training into ``out`` was stopped; the result is the same bits.

    Args:
        trainer: its model is trained, and holds the best weights in the end.
        source: training tasks.
        features: of every set that tasks are drawn from.
        epochs: at most.
        out: folder of the training.
        validation: fixed tasks of data sets that ``source`` does not draw from, measured after every epoch. Without
            any the last model is kept and nothing stops early.
        progress: told of every step, in the first process alone.

    Raises:
        ModelError: ``out`` holds a training with other settings, no update of an epoch was finite, or ``epochs`` < 1.
        TaskError: a training task is of a left-out set.
        CancelledError: ``progress`` asked to stop; the last whole epoch is kept.
    """
    if epochs < 1:
        raise ModelError(f"a training needs at least 1 epoch, found {epochs}")
    held_out = {task.source for task in validation}
    fixed = [features.task(task).to(trainer.device) for task in validation]
    identity = checkpoint.config_hash(
        {**trainer.settings, "epochs": epochs, "validation": [repr(task) for task in validation]}
    )
    trainer.total_steps = epochs * math.ceil(source.num_tasks_per_epoch / source.tasks_per_batch)
    state = _resume(trainer, source, out, identity) or _State(EarlyStopping(trainer.patience))
    shown = progress if trainer.workers.leads else silent
    while state.epoch < epochs and not state.stopping.exhausted:
        started = time.monotonic()
        row = _epoch(trainer, source, features, held_out, state.epoch, epochs, shown)
        state = _judged(trainer, fixed, state, row, started)
        if trainer.workers.leads:
            _keep(trainer, source, state, out, identity)
    trainer.workers.wait()
    _load(trainer, weights.read(out / f"{BEST}.safetensors")[0], out)
    return TrainingReport(
        epochs=state.epoch,
        steps=trainer.step,
        seconds=state.seconds,
        best_epoch=state.stopping.best_epoch or state.epoch,
        best_accuracy=state.stopping.best,
        stopped_early=state.stopping.exhausted,
        history=state.history,
    )


def _epoch(
    trainer: MetaTrainer,
    source: TaskDistributionBuilder,
    features: FeatureBank,
    held_out: set[str],
    epoch: int,
    epochs: int,
    progress: Progress,
) -> dict[str, Any]:
    """Every batch of one epoch; returns the means over its tasks."""
    sums, tasks, steps, skipped = torch.zeros(3, dtype=torch.float64), 0, 0, 0
    for batch in source.batches():
        leaked = held_out & {task.source for task in batch}
        if leaked:
            raise TaskError(
                f"{', '.join(sorted(leaked))} is left out for validation; take it out of training"
            )
        _, query_loss = trainer.prepare_meta_update([features.task(task) for task in batch])
        skipped += not trainer.update_meta_model(trainer.compute_meta_gradient(query_loss))
        outcome = trainer.outcome
        assert outcome is not None
        _report(source, batch, outcome)
        sums += torch.stack([outcome.support_loss.sum(), outcome.query_loss.sum(), outcome.accuracy.sum()])
        tasks, steps = tasks + len(batch), steps + 1
        progress(
            (epoch + tasks / source.num_tasks_per_epoch) / epochs,
            f"Epoch {epoch + 1} of {epochs}, task {tasks}",
        )
    if skipped == steps:
        raise ModelError(f"no update of epoch {epoch + 1} had a finite gradient; lower the learning rates")
    support_loss, query_loss_mean, right = (sums / tasks).tolist()
    return {
        "epoch": epoch + 1,
        "step": trainer.step,
        "support_loss": support_loss,
        "query_loss": query_loss_mean,
        "accuracy": right,
        "skipped": skipped,
    }


def _report(source: TaskDistributionBuilder, batch: Sequence[MetaTask], outcome: BatchOutcome) -> None:
    """Tell the sampler how hard the tasks were; a synthetic one says nothing of where it came from."""
    for task, loss, synthetic in zip(batch, outcome.query_loss.tolist(), outcome.synthetic, strict=True):
        if not synthetic:
            value = difficulty(loss, len(task.classes)) if math.isfinite(loss) else MOST
            source.sampler.report(task, max(value, 0.0))


def _judged(
    trainer: MetaTrainer, fixed: Sequence[FeatureTask], state: _State, row: Mapping[str, Any], started: float
) -> _State:
    """The state after an epoch, its left-out score taken in."""
    epoch, stopping = state.epoch + 1, state.stopping
    if fixed:
        measured = measure(trainer.model, fixed, trainer.seed, trainer.workers)
        stopping = stopping.seen(epoch, measured.accuracy)
        row = {**row, "validation_loss": measured.loss, "validation_accuracy": measured.accuracy}
    seconds = state.seconds + time.monotonic() - started
    history = (*state.history, {**row, "seconds": round(seconds, 3)})
    return replace(state, stopping=stopping, epoch=epoch, seconds=seconds, history=history)


def _keep(
    trainer: MetaTrainer, source: TaskDistributionBuilder, state: _State, out: Path, identity: str
) -> None:
    # The checkpoint comes last: killed before it, the epoch is done again and all of this with it.
    model = {name: value.detach() for name, value in trainer.model.state_dict().items()}
    if state.stopping.improved or state.stopping.best is None:
        card = {
            "format": "medmeta meta-training result 1",
            "settings": trainer.settings,
            "epoch": state.epoch,
            "validation_accuracy": state.stopping.best,
            "config_sha256": identity,
            "intended_use": RESEARCH_USE_ONLY,
        }
        checkpoint.write_pair(out, BEST, model, {**card, **checkpoint.versions()})
    checkpoint.write_lines(out / HISTORY, state.history)
    moments = checkpoint.optimiser_tensors(trainer.model, trainer.optimiser)
    tensors = {f"model/{name}": value for name, value in model.items()}
    tensors |= {f"optimiser/{name}": value for name, value in moments.items()}
    stopping = state.stopping
    card = {
        "epoch": state.epoch,
        "step": trainer.step,
        "seconds": state.seconds,
        "best": stopping.best,
        "best_epoch": stopping.best_epoch,
        "history": list(state.history),
        "source": source.state(),
        "config_sha256": identity,
    }
    checkpoint.write(out, Checkpoint(tensors, card))


def _resume(trainer: MetaTrainer, source: TaskDistributionBuilder, out: Path, identity: str) -> _State | None:
    found = checkpoint.read(out)
    if found is None:
        return None
    card = found.card
    if card["config_sha256"] != identity:
        raise ModelError(
            f"{out.name} holds a training with other settings; use those again or another folder"
        )
    _load(trainer, found.part("model"), out)
    checkpoint.restore_optimiser(trainer.model, trainer.optimiser, found.part("optimiser"))
    source.restore(card["source"])
    trainer.step = int(card["step"])
    stopping = EarlyStopping(trainer.patience, card["best"], card["best_epoch"], card["epoch"])
    return _State(stopping, card["epoch"], card["seconds"], tuple(card["history"]))


def _load(trainer: MetaTrainer, tensors: Mapping[str, torch.Tensor], out: Path) -> None:
    try:
        trainer.model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"{out.name} holds weights that do not fit the model; use another folder") from error
