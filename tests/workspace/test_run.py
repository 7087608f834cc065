"""A run from uploads to files on disk and back, with the real backbone on six small pictures."""

from __future__ import annotations

import csv
import io
import json

import pytest
from helpers import stripes

from medmeta.errors import CancelledError
from medmeta.learners.registry import load_extractor
from medmeta.workspace.reading import Reading, load_readings, readings_csv
from medmeta.workspace.records import WorkspaceError
from medmeta.workspace.run import load_run, load_thumbnails
from medmeta.workspace.work import adapt_work, intake_work, predict_work


@pytest.fixture(scope="module")
def extractor():
    return load_extractor("cpu")


@pytest.fixture
def task_id(store):
    task_id = store.create_task("Stripes")
    uploads = [(f"upright/{n}.png", stripes(n, upright=True)) for n in range(4)]
    uploads += [(f"level/{n}.png", stripes(50 + n, upright=False)) for n in range(4)]
    store.add_uploads(task_id, uploads)
    return task_id


def test_adapt_then_predict(store, runner, task_id, extractor):
    job = runner.wait(runner.submit("adapt", task_id, adapt_work(store, task_id, lambda: extractor)).id, 120)
    assert (job.state, job.error) == ("done", None)
    folder = runner.result(job)
    names = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "evaluation.json", "cases.csv", "thumbs"} <= names
    evaluation = load_run(folder)
    assert evaluation.task == "Stripes"
    assert evaluation.classes == ("level", "upright")
    assert evaluation.patients.n == 8
    assert evaluation.patients.correct >= 7  # stripes one way or the other are easy
    assert {case.scan_id for case in evaluation.cases} == set(load_thumbnails(folder))
    assert len(evaluation.comparisons) == 3
    # Four of each class: divided into four folds, ten times; and curves up to the three that are left.
    assert evaluation.repeated is not None
    assert (evaluation.repeated.folds, len(evaluation.repeated.right)) == (4, 10)
    assert evaluation.repeated.share >= 7 / 8
    assert evaluation.curve is not None

    store.add_uploads(task_id, [("new.png", stripes(99, upright=True))], role="predict")
    work = predict_work(store, task_id, folder, lambda: extractor)
    read = runner.wait(runner.submit("predict", task_id, work, {"run": job.id}).id, 60)
    (reading,) = load_readings(runner.result(read))
    assert (reading.file, reading.label) == ("new.png", "upright")
    assert sum(reading.probabilities) == pytest.approx(1)
    assert reading.confidence == max(reading.probabilities)
    assert reading.nearest[0][2] == "upright"


def test_cancel_leaves_no_half_run(store, task_id, extractor, tmp_path):
    def stop(fraction: float, message: str) -> None:
        if fraction > 0.2:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        adapt_work(store, task_id, lambda: extractor)(tmp_path / "out", stop)
    assert not (tmp_path / "out").exists()


def test_predict_without_scans_says_so(store, runner, task_id, extractor, tmp_path):
    job = runner.wait(runner.submit("adapt", task_id, adapt_work(store, task_id, lambda: extractor)).id, 120)
    failed = runner.wait(
        runner.submit(
            "predict", task_id, predict_work(store, task_id, runner.result(job), lambda: extractor)
        ).id,
        60,
    )
    assert (failed.state, failed.error) == ("failed", "there are no new scans to read; add some first")


def test_intake_job_says_what_it_took(store, runner):
    task_id = store.create_task("t")
    uploads = [("a/1.png", stripes(1, upright=True)), ("bad.bin", b"\x00\x01nothing")]
    job = runner.wait(runner.submit("intake", task_id, intake_work(store, task_id, uploads, "support")).id)
    assert (job.state, job.message) == ("done", "1 scan added, 1 refused")
    assert json.loads((runner.result(job) / "summary.json").read_text())["accepted"] == 1


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"])
def test_damaged_run_says_what_to_do(tmp_path, content):
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(WorkspaceError, match="run the adaptation again"):
        load_run(tmp_path)


def test_damaged_readings_say_what_to_do(tmp_path):
    (tmp_path / "readings.json").write_text('[{"scan_id": 1}]')
    with pytest.raises(WorkspaceError, match="read the scans again"):
        load_readings(tmp_path)
    assert load_thumbnails(tmp_path) == {}


def test_csv_of_readings_runs_no_formula():
    reading = Reading("0" * 64, "=cmd()", ("-a", "b"), "-a", (0.75, 0.25), True, 1.25, ())
    header, row = csv.reader(io.StringIO(readings_csv([reading], "@task")))
    assert header[5:7] == ["p(-a)", "p(b)"]
    assert row[:7] == ["'@task", "'=cmd()", "'-a", "yes", "1.25", "0.7500", "0.2500"]
    assert readings_csv([], "t").count("\n") == 1
