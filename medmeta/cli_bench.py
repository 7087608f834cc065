"""`python -m medmeta bench ...`: measurements that take longer than adapting to one task."""

from __future__ import annotations

import argparse
import hashlib
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tqdm import tqdm

from medmeta.console import bar, check_apart, check_folder, whole, write
from medmeta.errors import TaskError
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.progress import part

if TYPE_CHECKING:  # commands import what they run; asking for help stays quick
    from medmeta.models.features import FeatureExtractor
    from medmeta.tasks.labelled_set import LabelledSet
    from medmeta.tasks.task import Task

Value = TypeVar("Value", int, str)
Run = Callable[[argparse.Namespace], dict[str, Any]]
SOURCE = "folders or ZIPs of class folders, with or without labels.csv (file,label,group), or MedMNIST .npz"


def add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``bench`` and what it measures to the commands of the shell."""
    text = "Measure learners on labelled data sets."
    measures = commands.add_parser("bench", help=text, description=text).add_subparsers(
        required=True, metavar="MEASURE"
    )

    def measure(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        added = measures.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        added.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
        return added

    few_shot = measure("few-shot", _few_shot, "Accuracy of learners on the same few-shot episodes.")
    few_shot.add_argument(
        "--data",
        nargs="+",
        type=Path,
        required=True,
        metavar="SRC",
        help=f"data sets: {SOURCE} or names",
    )
    few_shot.add_argument(
        "--learners",
        type=_names,
        required=True,
        metavar="A,B",
        help="learners, or folders that train wrote; the first is the one the others are compared with",
    )
    few_shot.add_argument(
        "--shots", type=_numbers, default=[5], metavar="N,M", help="support scans a class (default: 5)"
    )
    few_shot.add_argument(
        "--ways", type=_ways, default="all", metavar="all|N", help="classes an episode (default: all)"
    )
    few_shot.add_argument("--queries", type=_number, default=15, metavar="N", help="query scans a class")
    few_shot.add_argument("--episodes", type=_number, default=600, metavar="N", help="episodes a data set")
    few_shot.add_argument(
        "--episodes-for",
        type=_counts,
        default={},
        metavar="A=N,B=M",
        help="only the first N of the same episodes for a costly learner",
    )
    few_shot.add_argument("--seed", type=whole, default=0)
    few_shot.add_argument("--device", default="auto", help="auto, cpu or cuda")
    few_shot.add_argument("--jobs", type=_number, metavar="N", help="processes (default: one a core)")
    few_shot.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="folder that keeps each answer, so that an interrupted run goes on and a longer one adds to it; it does "
        "not notice changed code",
    )
    few_shot.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    _add_claims(measure)


def _add_claims(measure: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    claims = measure(
        "claims", _claims, "The founding claims: what was promised, and what a run here reaches."
    )
    claims.add_argument(
        "--data-train", nargs="+", type=Path, required=True, metavar="SRC", help=f"meta-train sets: {SOURCE}"
    )
    claims.add_argument(
        "--data-test", nargs="+", type=Path, required=True, metavar="SRC", help=f"test sets: {SOURCE}"
    )
    claims.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that keeps each row and training, so that an interrupted run goes on; what `bench few-shot` "
        "wrote there with --json is taken over",
    )
    claims.add_argument("--rows", type=_names, default=[], metavar="A,B", help="rows (default: all)")
    claims.add_argument(
        "--episodes", type=_number, metavar="N", help="few-shot episodes a test set (default: 600, quick: 20)"
    )
    claims.add_argument(
        "--quick", action="store_true", help="small sizes: a first look in minutes, not hours"
    )
    claims.add_argument(
        "--near-trunk",
        type=Path,
        metavar="FILE",
        help="a trunk of benchmarks.train_trunk --leave-out-classes for the row near_domain",
    )
    claims.add_argument("--seed", type=whole, default=0)
    claims.add_argument("--device", default="auto", help="auto, cpu or cuda")
    claims.add_argument("--jobs", type=_number, metavar="N", help="processes (default: one a core)")
    claims.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown")


def _few_shot(options: argparse.Namespace) -> dict[str, Any]:
    from medmeta.api import extractor
    from medmeta.evaluation.few_shot import run_few_shot
    from medmeta.evaluation.few_shot_result import to_json
    from medmeta.evaluation.kept import Kept
    from medmeta.evaluation.machine import machine
    from medmeta.evaluation.processes import usable_jobs
    from medmeta.evaluation.provenance import package_version
    from medmeta.learners.registry import find_learner
    from medmeta.models.features import READING
    from medmeta.reports.few_shot_table import as_markdown, as_text
    from medmeta.training.claims.few_shot import weights_of

    shared = extractor(options.device)
    learners = {name: find_learner(name, shared) for name in options.learners}
    if unknown := sorted(set(options.episodes_for) - set(learners)):
        raise TaskError(f"--episodes-for names {', '.join(unknown)}, which --learners does not")
    fewer = {learners[name].name: count for name, count in options.episodes_for.items()}
    read = [_read(path) for path in options.data]
    weights = {learner.name: weights_of(learner.name) for learner in learners.values()}
    parts: dict[str, list[dict[str, Any]]] = {"results": [], "paired": [], "paired_all": []}
    with bar() as progress:
        for number, shots in enumerate(options.shots):
            result = run_few_shot(
                [task for task, _ in read],
                list(learners.values()),
                shots=shots,
                queries=options.queries,
                ways=options.ways,
                episodes=options.episodes,
                episodes_for=fewer,
                seed=options.seed,
                jobs=options.jobs,
                keep=None
                if options.keep is None
                else Kept(options.keep, _decisive(options, shots, shared), weights),
                progress=part(progress, number / len(options.shots), (number + 1) / len(options.shots)),
            )
            for name, rows in to_json(result).items():
                parts[name] += rows
    document = {
        "settings": {
            "data": [task.name for task, _ in read],
            "learners": [learner.name for learner in learners.values()],
            "shots": options.shots,
            "ways": options.ways,
            "queries": options.queries,
            "episodes": options.episodes,
            "episodes_for": fewer,
            "seed": options.seed,
            "jobs": usable_jobs(options.jobs),
            "device": shared.device_name,
            "backbone_sha256": shared.backbone.sha256,
            "reading": READING,
            "weights": weights,
        },
        **parts,
        "data_sets": [_data_set(task, refused) for task, refused in read],
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "medmeta": package_version("medmeta"),
            "torch": package_version("torch"),
            "numpy": package_version("numpy"),
            "python": platform.python_version(),
        },
        "research_use_only": RESEARCH_USE_ONLY,
    }
    print(as_text(document), end="")
    print(RESEARCH_USE_ONLY)
    if options.markdown is not None:
        write(options.markdown, as_markdown(document))
    return document


def _decisive(options: argparse.Namespace, shots: int, shared: FeatureExtractor) -> dict[str, Any]:
    """What decides an answer besides the scans, the learner and the episode."""
    from medmeta.evaluation.provenance import package_version
    from medmeta.models.features import READING

    return {
        "shots": shots,
        "ways": options.ways,
        "queries": options.queries,
        "seed": options.seed,
        "device": shared.device_name,
        "backbone_sha256": shared.backbone.sha256,
        "reading": READING,
        "versions": [package_version(name) for name in ("medmeta", "torch")],
    }


def _claims(options: argparse.Namespace) -> dict[str, Any]:
    from medmeta.api import extractor
    from medmeta.reports.claims_table import as_markdown, row_as_text
    from medmeta.training.claims.ground import QUICK, Ground, Sizes
    from medmeta.training.claims.table import chosen, run_claims

    claims = chosen(options.rows)
    sizes = QUICK if options.quick else Sizes()
    if options.episodes is not None:
        sizes = replace(sizes, episodes=options.episodes)
    sources = [*options.data_train, *options.data_test]
    if missing := [path for path in sources if not path.exists()]:
        raise TaskError(f"{missing[0]}: no such file or folder; give {SOURCE}")
    check_apart(options.out, *sources)
    check_folder(options.out)
    with bar() as progress:
        ground = Ground(
            read_train=lambda: [_labelled_set(path) for path in options.data_train],
            read_test=lambda: [_read(path)[0] for path in options.data_test],
            extractor=extractor(options.device),
            out=options.out,
            sizes=sizes,
            seed=options.seed,
            near_trunk=options.near_trunk,
            jobs=options.jobs,
            progress=progress,
        )
        rows = run_claims(
            ground, claims, _fingerprint(sources), lambda row: tqdm.write(row_as_text(row), file=sys.stdout)
        )
    print(RESEARCH_USE_ONLY)
    document = {
        "settings": {
            "data_train": [path.stem for path in options.data_train],
            "data_test": [path.stem for path in options.data_test],
            "rows": [claim.name for claim in claims],
            "quick": options.quick,
            "sizes": asdict(sizes),
            "seed": options.seed,
            "device": ground.extractor.device_name,
            "backbone_sha256": ground.extractor.backbone.sha256,
        },
        "rows": rows,
        "research_use_only": RESEARCH_USE_ONLY,
    }
    if options.markdown is not None:
        write(options.markdown, as_markdown(document))
    if all(row["reached"] == "not measured" for row in rows):
        print("medmeta: not one row could be measured; the last column says why", file=sys.stderr)
        return {**document, "exit_status": 1}
    return document


def _fingerprint(sources: Sequence[Path]) -> str:
    """Hash of the sources' places, sizes and times: whether kept rows belong to them."""
    digest = hashlib.sha256()
    for source in sources:
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            about = path.stat()
            digest.update(f"{path.resolve()} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _labelled_set(path: Path) -> LabelledSet:
    from medmeta.tasks.domains import domain_of
    from medmeta.tasks.labelled_set import LabelledSet

    task, _ = _read(path)
    return LabelledSet.from_task(task, domain_of(task.name, task.scans))


def _read(path: Path) -> tuple[Task, int]:
    """A data set as a task, and how many of its files were refused."""
    from medmeta.tasks.sources import open_scans

    with bar() as progress:
        task, rejected = open_scans(path, progress=progress)
    for rejection in rejected:
        print(f"refused {path.name}: {rejection.file}: {rejection.reason}", file=sys.stderr)
    return task, len(rejected)


def _data_set(task: Task, refused: int) -> dict[str, Any]:
    from medmeta.evaluation.provenance import task_hash

    return {
        "data": task.name,
        "classes": list(task.classes),
        "scans": len(task.scans),
        "patients": len(set(task.groups)),
        "refused": refused,
        "sha256": task_hash(task),
    }


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def _numbers(text: str) -> list[int]:
    return _once([_number(part) for part in text.split(",")], text)


def _names(text: str) -> list[str]:
    return _once([part.strip() for part in text.split(",") if part.strip()], text)


def _ways(text: str) -> int | Literal["all"]:
    return "all" if text == "all" else _number(text)


def _counts(text: str) -> dict[str, int]:
    pairs = [part.partition("=") for part in text.split(",")]
    return {name.strip(): _number(count) for name, _, count in pairs}


def _once(values: list[Value], text: str) -> list[Value]:
    if not values or len(set(values)) < len(values):
        raise argparse.ArgumentTypeError(
            f"expected different values with commas between them, found {text!r}"
        )
    return values
