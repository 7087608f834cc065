"""The command line: the same path as the workbench, for the shell and for checks.

Results go to standard output and, with ``--json``, to a file; progress and refusals go to standard error.
Exit status: 0 done, 1 refused with a reason, 2 wrong usage, 3 an evaluation that does not come out the same, 130
stopped.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmeta import __version__
from medmeta.cli_bench import add_bench
from medmeta.cli_report import add_report
from medmeta.cli_train import add_train
from medmeta.console import bar, check_apart, check_file, check_folder, whole, write
from medmeta.errors import MedMetaError, TaskError
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.scans.scan import Intake, LabelledScan, Scan

if TYPE_CHECKING:
    from medmeta.scans.checks import Finding, Looked


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], dict[str, Any]] = options.run
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without some letter must not cost the result
            stream.reconfigure(errors="replace")
    try:
        if options.json is not None:
            check_file(options.json)
        result = run(options)
        if options.json is not None:
            write(options.json, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    except MedMetaError as error:
        print(f"medmeta: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("medmeta: stopped", file=sys.stderr)
        return 130
    return int(result.get("exit_status", 0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m medmeta",
        description=f"Few-shot learning for medical scans. {RESEARCH_USE_ONLY}",
    )
    parser.add_argument("--version", action="version", version=f"medmeta {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], dict[str, Any]], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        added.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
        return added

    source = (
        "folder or ZIP of class folders (DICOM, NIfTI, PNG, JPEG, TIFF, BMP), with or without labels.csv "
        "(file,label,group)"
    )
    scan = command("scan", _scan, "Read, check and de-identify scans; adapt nothing.")
    scan.add_argument("source", type=Path, metavar="SRC", help=source)
    scan.add_argument(
        "--text", action="store_true", help="look for text burned into the pixels too (about 0.1 s a scan)"
    )
    scan.add_argument(
        "--compare",
        action="store_true",
        help="look with the model too: scans unlike all others, pictures of a kind it was not trained on",
    )
    scan.add_argument(
        "--deid-report",
        type=Path,
        metavar="FILE",
        help="write the de-identification report as HTML (or .json)",
    )

    adapt = command("adapt", _adapt, "Adapt to labelled scans and measure on patients left out.")
    adapt.add_argument("--support", type=Path, required=True, metavar="SRC", help=source)
    adapt.add_argument(
        "--query", type=Path, metavar="SRC", help="labelled scans of other patients to measure on"
    )
    adapt.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for model and evaluation"
    )
    adapt.add_argument(
        "--learner", default="default", metavar="NAME", help="a method, or a folder that train wrote"
    )
    adapt.add_argument("--device", default="auto", help="auto, cpu or cuda")
    adapt.add_argument("--seed", type=whole, default=0)

    predict = command("predict", _predict, "Read new scans with an adapted model.")
    predict.add_argument("--model", type=Path, required=True, metavar="DIR", help="folder that adapt wrote")
    predict.add_argument("--scans", type=Path, required=True, metavar="SRC", help="folder, ZIP or one scan")
    predict.add_argument("--device", default="auto", help="auto, cpu or cuda")

    add_report(command)
    add_train(command)
    add_bench(commands)
    return parser


def _scan(options: argparse.Namespace) -> dict[str, Any]:
    from medmeta.scans.checks import check_scans, in_order, looked_at
    from medmeta.scans.series import representatives

    found = _intake(options.source)
    kept, notes = representatives(found.accepted)
    found = replace(found, warnings=(*found.warnings, *notes))
    result = intake_json(found)
    looked = looked_at(kept)
    findings = check_scans(looked)
    if options.compare:
        findings = in_order([*findings, *_compared(looked, kept)])
    texts = _texts(found) if options.text or options.deid_report is not None else None
    result["warnings"] += [finding.sentence for finding in findings]
    result["checks"] = [
        {
            "kind": finding.kind,
            "severity": finding.severity,
            "files": [kept[key].scan.file for key in finding.keys],
        }
        for finding in findings
    ]
    if texts is not None:
        result["text"] = [{"file": file, "boxes": boxes} for file, boxes in texts.items() if boxes]
        result["warnings"] += [f"{each['file']}: text seems to be burned in; look" for each in result["text"]]
    for warning in (*found.warnings, *(finding.sentence for finding in findings)):
        print(f"note: {warning}", file=sys.stderr)
    for each in result.get("text", ()):
        print(f"note: {each['file']}: text seems to be burned in; look", file=sys.stderr)
    if options.deid_report is not None:
        from medmeta.reports.deidentification import as_html, as_json, of_intake

        report = of_intake(found, options.source.name, texts)
        text = as_json(report) if options.deid_report.suffix == ".json" else as_html(report)
        write(options.deid_report, text)
    groups = len({item.scan.group for item in found.accepted})
    print(f"{len(found.accepted)} accepted ({groups} patients), {len(found.rejected)} refused")
    return result


def _compared(looked: Sequence[Looked], kept: Sequence[LabelledScan]) -> tuple[Finding, ...]:
    from medmeta.api import extractor
    from medmeta.models.kinds import load_kinds
    from medmeta.scans.strangers import check_strangers

    with bar() as progress:
        vectors = extractor().extract([item.scan for item in kept], progress=progress).numpy()
    looks = {item.scan.id: vector for item, vector in zip(kept, vectors, strict=True)}
    return check_strangers(looked, looks, load_kinds())


def _texts(found: Intake) -> dict[str, list[list[int]]]:
    """Where text seems to be burned in, for each file: left, top, right, bottom in pixels."""
    from medmeta.scans.pixel_text import TextFinder

    finder = TextFinder()
    texts = {}
    with bar() as progress:
        for position, item in enumerate(found.accepted):
            progress(position / len(found.accepted), "Looking for burned-in text")
            boxes = finder.find(item.scan)
            texts[item.scan.file] = [[box.left, box.top, box.right, box.bottom] for box in boxes]
        progress(1.0, "Looked for burned-in text")
    return texts


def _adapt(options: argparse.Namespace) -> dict[str, Any]:
    from medmeta.api import extractor
    from medmeta.evaluation.serialise import to_json
    from medmeta.learners.registry import BASELINES, find_learner, make_learner
    from medmeta.tasks.task import make_task
    from medmeta.workspace.run import run_task

    check_apart(options.out, options.support, options.query)
    check_folder(options.out)
    kept, support_found = _represented(_some(_intake(options.support), options.support))
    support = make_task(kept, options.support.stem)
    query_found = query = None
    if options.query is not None:
        kept, query_found = _represented(_some(_intake(options.query), options.query))
        query = make_task(kept, options.query.stem)
    shared = extractor(options.device)
    with bar() as progress:
        evaluation = run_task(
            support,
            query,
            find_learner(options.learner, shared),
            [make_learner(name, shared) for name in BASELINES],
            options.out,
            seed=options.seed,
            progress=progress,
        )
    patients, interval = evaluation.patients, evaluation.patients.interval
    print(
        f"{patients.correct} of {patients.n} patients right (95 % interval {100 * interval.low:.0f}-"
        f"{100 * interval.high:.0f} %), {evaluation.protocol}; adapted in {evaluation.seconds:.1f} s"
    )
    for note in evaluation.notes:
        print(f"note: {note}")
    print(RESEARCH_USE_ONLY)
    result = {**to_json(evaluation), "support_intake": intake_json(support_found)}
    return result if query_found is None else {**result, "query_intake": intake_json(query_found)}


def _predict(options: argparse.Namespace) -> dict[str, Any]:
    from medmeta.api import load_model

    model = load_model(options.model, device=options.device)
    card = json.loads((options.model / "model.json").read_text(encoding="utf-8"))
    kept, found = _represented(_some(_intake(options.scans), options.scans))
    scans = [item.scan for item in kept]
    with bar() as progress:
        answer = model.predict(scans, progress=progress)
    per_scan: list[dict[str, Any]] = [
        {
            "file": scan.file,
            "predicted": answer.labels[i],
            "probabilities": dict(zip(answer.classes, map(float, answer.probabilities[i]), strict=True)),
            "abstained": bool(answer.abstained[i]),
            "out_of_domain": float(answer.out_of_domain[i]),
            "nearest": [
                {"file": near.file, "label": near.label, "similarity": near.similarity}
                for near in answer.neighbours[i]
            ],
        }
        for i, scan in enumerate(scans)
    ]
    for row in per_scan:
        doubt = "  (undecided: look yourself)" if row["abstained"] else ""
        chances = ", ".join(f"{name} {p:.2f}" for name, p in row["probabilities"].items())
        print(f"{row['file']}: {row['predicted']}  [{chances}]{doubt}")
    print(RESEARCH_USE_ONLY)
    return {
        "classes": list(answer.classes),
        "model": {"learner": card["learner"], "sha256": card["sha256"], "medmeta": __version__},
        "per_scan": per_scan,
        **intake_json(found),
        "research_use_only": RESEARCH_USE_ONLY,
    }


def intake_json(found: Intake) -> dict[str, Any]:
    """What came in, what was refused and why, as the ``scan`` command reports it."""
    return {
        "accepted": [{**_scan_json(item.scan), "label": item.label} for item in found.accepted],
        "rejected": [{"file": r.file, "reason": r.reason} for r in found.rejected],
        "warnings": [*found.warnings, *_scan_warnings(found)],
    }


def _scan_json(scan: Scan) -> dict[str, Any]:
    return {
        "file": scan.file,
        "modality": scan.modality,
        "rows": scan.rows,
        "columns": scan.columns,
        "frames": scan.frames,
        "transfer_syntax": scan.transfer_syntax,
        "group": scan.group,
        "group_source": scan.group_source,
        "series": scan.series,
    }


def _scan_warnings(found: Intake) -> Iterator[str]:
    for item in found.accepted:
        for warning in item.scan.warnings:
            yield f"{item.scan.file}: {warning}"


def _intake(source: Path) -> Intake:
    from medmeta.api import intake

    with bar() as progress:
        found = intake(source, progress=progress)
    for rejection in found.rejected:
        print(f"refused {rejection.file}: {rejection.reason}", file=sys.stderr)
    return found


def _represented(found: Intake) -> tuple[Sequence[LabelledScan], Intake]:
    """Of each volume the slices that answer for it, and the intake with a warning on what that left out.

    Says what there is to say of the whole upload.
    """
    from medmeta.scans.series import representatives

    kept, notes = representatives(found.accepted)
    for note in (*found.warnings, *notes):
        print(f"note: {note}", file=sys.stderr)
    return kept, replace(found, warnings=(*found.warnings, *notes))


def _some(found: Intake, source: Path) -> Intake:
    if not found.accepted:
        raise TaskError(
            f"{source.name}: no file could be read as a scan; give DICOM, NIfTI, PNG, JPEG, TIFF or BMP files"
        )
    return found
