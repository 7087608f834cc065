"""`python -m medmeta train ...`: meta-trains on labelled data sets; also under ``torchrun``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmeta.console import bar, check_apart, check_folder, whole
from medmeta.errors import TaskError
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.progress import Progress, silent

if TYPE_CHECKING:  # commands import what they run; asking for help stays quick
    from medmeta.models.episodic import EpisodicModel
    from medmeta.tasks.builder import TaskDistributionBuilder
    from medmeta.tasks.labelled_set import LabelledSet
    from medmeta.tasks.meta_task import MetaTask
    from medmeta.training.distributed import Workers
    from medmeta.training.loop import TrainingReport
    from medmeta.training.mixing import Mixing
    from medmeta.training.settings import Settings, TrainingSettings
    from medmeta.training.tensors import FeatureBank, TextEncoder

Run = Callable[[argparse.Namespace], dict[str, Any]]


def add_train(command: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """Add ``train`` to the commands of the shell, through the helper that gives each its ``--json``."""
    train = command(
        "train", _train, "Meta-train on data sets; goes on where a training into DIR was stopped."
    )
    train.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="SRC",
        help="data sets: folders or ZIPs of class folders, MedMNIST .npz or names, or .csv of texts",
    )
    train.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="JSON: model, tasks, training"
    )
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the training")
    train.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train.add_argument("--seed", type=whole, default=0)
    train.add_argument("--epochs", type=int, metavar="N", help="at most, in place of the configuration's")


def _train(options: argparse.Namespace) -> dict[str, Any]:
    from medmeta.training.build import build_model
    from medmeta.training.distributed import workers
    from medmeta.training.settings import read_settings
    from medmeta.training.trainer import MetaTrainer

    check_apart(options.out, *options.data)
    check_folder(options.out)
    settings = read_settings(options.config)
    if options.epochs is not None:
        settings = replace(settings, training=replace(settings.training, epochs=options.epochs))
    chosen = settings.training
    with workers(options.device) as (group, device):
        sets = _open(options.data, group)
        train, left_out = _divided(sets, chosen.left_out)
        bank = _bank(sets, settings, device, options.out, group)
        # Rows that are features tell the model its centre and directions; a network's maps do not.
        plain = not settings.meta.meta_model.dynamic_stages
        seen = [bank.rows([each.name])[:2] for each in train] if plain else None
        builder, validation = _tasks(train, left_out, settings, options.seed)
        trainer = MetaTrainer(
            settings.meta.to_dict(),
            settings.meta.inner_loop.max_steps,
            chosen.meta_lr,
            settings.meta.inner_loop.lr,
            build=partial(build_model, features=seen),
            weight_decay=settings.meta.meta_model.weight_decay,
            clip=chosen.clip,
            mixed_precision=chosen.mixed_precision,
            gradient_checkpointing=chosen.gradient_checkpointing,
            mix=_mixing(bank, train, chosen, options.seed, group),
            patience=chosen.patience,
            seed=options.seed,
            device=device,
            workers=group,
        )
        with _shown(group) as progress:
            report = trainer.fit(
                builder, bank, epochs=chosen.epochs, out=options.out, validation=validation, progress=progress
            )
    if group.leads:
        _write(trainer.model, options.out, train, report)
        left = "no left-out set" if report.best_accuracy is None else f"{100 * report.best_accuracy:.1f} %"
        print(
            f"{report.epochs} epochs in {report.seconds:.0f} s; kept epoch {report.best_epoch} "
            f"(left-out accuracy: {left}); use it with --learner {options.out}"
        )
        print(RESEARCH_USE_ONLY)
    return {
        **asdict(report),
        "train": [data.name for data in train],
        "left_out": [data.name for data in left_out],
        "processes": group.world,
        "device": str(trainer.device),
        "seed": options.seed,
        "out": str(options.out),
        "research_use_only": RESEARCH_USE_ONLY,
    }


def _write(model: EpisodicModel, out: Path, train: Sequence[LabelledSet], report: TrainingReport) -> None:
    """What `--learner` reads; the folder's other files are for going on."""
    from medmeta.learners.trained import TRAINED_FILE
    from medmeta.models.cnn_meta import CnnMetaModel
    from medmeta.training.checkpoint import versions

    if isinstance(model, CnnMetaModel):
        about = {"trained_on": [data.name for data in train], "left_out_accuracy": report.best_accuracy}
        model.save(out / TRAINED_FILE, {**about, "epoch": report.best_epoch, **versions()})


@contextmanager
def _shown(group: Workers) -> Iterator[Progress]:
    if group.leads:
        with bar() as progress:
            yield progress
    else:
        yield silent


def _open(sources: Sequence[str], group: Workers) -> list[LabelledSet]:
    from medmeta.tasks.sources import open_set

    found = []
    for source in sources:
        with _shown(group) as progress:
            found.extend(open_set(source, progress=progress))
    return found


def _divided(
    sets: Sequence[LabelledSet], names: Sequence[str]
) -> tuple[list[LabelledSet], list[LabelledSet]]:
    known = [data.name for data in sets]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise TaskError(f"training.left_out names {', '.join(unknown)}; the data are {', '.join(known)}")
    train = [data for data in sets if data.name not in names]
    if not train:
        raise TaskError("training.left_out leaves no data set to train on; give more with --data")
    return train, [data for data in sets if data.name in names]


def _bank(
    sets: Sequence[LabelledSet], settings: Settings, device: str, out: Path, group: Workers
) -> FeatureBank:
    """Features of all sets; the first process computes them, the others read what it kept."""
    from medmeta.models.backbones import load_backbone, pick_device
    from medmeta.models.features import FeatureExtractor
    from medmeta.training.build import rows_for
    from medmeta.training.tensors import FeatureBank, extract_features

    name = settings.training.text_encoder
    encode = _encoder(name)
    meta = settings.meta.meta_model
    backbone = load_backbone(meta.backbone, pretrained=meta.pretrained, seed=meta.seed)
    rows = rows_for(settings.meta, FeatureExtractor(backbone, pick_device(device)))

    def features() -> FeatureBank:
        made_with = f"{backbone.sha256} {name} {getattr(rows, 'start', '')}"
        with _shown(group) as progress:
            found = extract_features(
                sets, rows, made_with, out / "features", encode=encode, progress=progress
            )
        return FeatureBank(sets, found, encode if settings.meta.meta_model.text else None)

    if group.leads:
        bank = features()
    group.wait()
    return bank if group.leads else features()


def _encoder(name: str) -> TextEncoder | None:
    from medmeta.models.text_encoder import HashedTextEncoder, load_text_encoder

    if name not in ("", "hashed", "minilm"):
        raise TaskError(f"training.text_encoder {name!r} is not known; there are: hashed, minilm")
    if not name:
        return None
    return HashedTextEncoder().encode if name == "hashed" else load_text_encoder().encode


def _tasks(
    train: Sequence[LabelledSet], left_out: Sequence[LabelledSet], settings: Settings, seed: int
) -> tuple[TaskDistributionBuilder, tuple[MetaTask, ...]]:
    """The stream of training tasks, and fixed tasks of all classes of the left-out sets."""
    from medmeta.tasks.builder import TaskDistributionBuilder

    chosen, count = settings.tasks, settings.training.validation_tasks
    builder = TaskDistributionBuilder(
        train,
        chosen.param_space,
        chosen.num_tasks_per_epoch,
        shots=chosen.shots,
        queries=chosen.queries,
        sampler=chosen.sampler,
        seed=seed,
        tasks_per_batch=chosen.tasks_per_batch,
    )
    if not left_out:
        return builder, ()
    fixed = TaskDistributionBuilder(
        left_out, {}, count, shots=chosen.shots, queries=chosen.queries, seed=seed, tasks_per_batch=count
    )
    return builder, fixed.generate_batch()


def _mixing(
    bank: FeatureBank, train: Sequence[LabelledSet], chosen: TrainingSettings, seed: int, group: Workers
) -> Mixing | None:
    from medmeta.tasks.feature_gan import fit_gan
    from medmeta.training.mixing import Mixing

    if not chosen.interpolation and not chosen.gan_rows:
        return None
    gan = None
    if chosen.gan_rows:
        with _shown(group) as progress:
            rows = bank.rows([data.name for data in train])
            gan = fit_gan(*rows, seed=seed, steps=chosen.gan_steps, progress=progress)
    return Mixing(chosen.interpolation, gan=gan, per_class=chosen.gan_rows)
