"""`python -m medmeta report RUN ...`: what can be written of a run, and whether its figures come out again."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmeta.console import bar, tolerance, write
from medmeta.errors import MedMetaError

if TYPE_CHECKING:
    from medmeta.learners.base import Learner

Run = Callable[[argparse.Namespace], dict[str, Any]]


def add_report(command: Callable[[str, Run, str], argparse.ArgumentParser]) -> None:
    """Add ``report`` to the commands of the shell, through the helper that gives each its ``--json``."""
    report = command(
        "report",
        _report,
        "Write the report of a run, or repeat its evaluation and compare. Exit status 3: it does not come out the "
        "same.",
    )
    report.add_argument("run_folder", type=Path, metavar="RUN", help="folder that adapt wrote, or a bundle")
    report.add_argument("--html", type=Path, metavar="FILE")
    report.add_argument("--pdf", type=Path, metavar="FILE")
    report.add_argument(
        "--dicom", type=Path, metavar="DIR", help="write a Structured Report and a Secondary Capture"
    )
    report.add_argument(
        "--bundle", type=Path, metavar="FILE", help="write a ZIP that repeats the evaluation elsewhere"
    )
    report.add_argument(
        "--verify", action="store_true", help="run the evaluation again and compare every figure"
    )
    report.add_argument(
        "--tolerance", type=tolerance, metavar="T", help="largest difference that counts as the same (0.001)"
    )
    report.add_argument(
        "--learner", metavar="DIR", help="for --verify of a run that adapted what train wrote: that folder"
    )
    report.add_argument("--device", default="auto", help="auto, cpu or cuda; for --verify")


def _report(options: argparse.Namespace) -> dict[str, Any]:
    from medmeta.evaluation.serialise import to_json
    from medmeta.reports.checklists import checklists_json
    from medmeta.reports.html import html_report
    from medmeta.reports.pdf import pdf_report
    from medmeta.workspace.bundle import opened, write_bundle
    from medmeta.workspace.run import load_run, load_thumbnails

    asked = (options.html, options.pdf, options.dicom, options.bundle, options.json)
    if not options.verify and all(path is None for path in asked):
        raise MedMetaError("say what to do: --html FILE, --pdf FILE, --dicom DIR, --bundle FILE or --verify")
    if options.tolerance is not None and not options.verify:
        raise MedMetaError("--tolerance is for --verify; give both")
    with opened(options.run_folder) as folder:
        evaluation, thumbnails = load_run(folder), load_thumbnails(folder)
        written = {}
        if options.html is not None:
            write(options.html, html_report(evaluation, thumbnails=thumbnails))
            written["html"] = str(options.html)
        if options.pdf is not None:
            write(options.pdf, pdf_report(evaluation, thumbnails=thumbnails))
            written["pdf"] = str(options.pdf)
        if options.dicom is not None:
            from medmeta.reports.dicom import evaluation_dicom

            for name, content in evaluation_dicom(evaluation).items():
                write(options.dicom / name, content)
            written["dicom"] = str(options.dicom)
        if options.bundle is not None:
            write_bundle(folder, options.bundle)
            written["bundle"] = str(options.bundle)
        if written:
            print("wrote " + ", ".join(written.values()))
        result = {
            "written": written,
            "evaluation": to_json(evaluation),
            "checklists": checklists_json(evaluation),
        }
        return {**result, **_verify(folder, options)} if options.verify else result


def _verify(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    from medmeta.api import extractor
    from medmeta.learners.registry import LEARNERS, find_learner, make_learner
    from medmeta.workspace.verify import TOLERANCE, verify_run

    most = TOLERANCE if options.tolerance is None else options.tolerance

    def learner_of(name: str) -> Learner:
        shared = extractor(options.device)
        # A name that a bundle brings along leads to no file; only the person who verifies says where one is.
        if name in LEARNERS or options.learner is None:
            return make_learner(name, shared)
        return find_learner(options.learner, shared)

    with bar() as progress:
        found = verify_run(
            folder,
            learner_of,
            tolerance=most,
            progress=progress,
        )
    for version in found.versions:
        print(f"other than then: {version}")
    if found.same:
        print(f"the same: {found.compared} values compared, none differs by more than {most:g}")
        return {"verification": found.to_json()}
    print(f"NOT the same: {len(found.differences)} differences beyond {most:g}")
    for difference in found.differences[:20]:
        print(f"  {difference}")
    if len(found.differences) > 20:
        print(f"  and {len(found.differences) - 20} more; --json FILE lists all")
    return {"verification": found.to_json(), "exit_status": 3}
