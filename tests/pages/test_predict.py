"""The page that reads new scans: empty, at work and in trouble."""

from __future__ import annotations

import json

import pytest
from helpers import stripes
from page_helpers import texts, wait_for


def test_predict_before_any_run(open_page, task_id):
    assert "No adapted model yet" in texts(open_page("4_Predict.py", task=task_id))


def test_predict_reads_new_scans_and_forgets_them(open_page, store, runner, task_id, adapted):
    app = open_page("4_Predict.py", task=task_id)
    assert "No new scans yet" in app.info[0].value
    app.file_uploader[0].set_value(
        [
            ("new.png", stripes(77, upright=True), "image/png"),
            ("seen.png", stripes(0, upright=True), "image/png"),
        ]
    ).run()
    wait_for(lambda: all(not job.live for job in runner.jobs(task_id, "intake")))
    app.run()
    assert "cannot be read as a new one" in texts(app)
    app.button(key="read").click().run()
    assert not app.exception
    (job,) = runner.jobs(task_id, "predict")
    assert runner.wait(job.id).state == "done"
    fresh = open_page("4_Predict.py", task=task_id)
    assert not fresh.exception
    assert "What the model says" in texts(fresh)
    assert "upright" in texts(fresh)
    assert fresh.download_button[0].label == "Readings (CSV)"
    assert task_id in {task.id for task in store.tasks()}
    folder = runner.result(runner.find(job.id))
    assert "seen.png" in [notice.file for notice in store.notices(task_id, "predict")]
    fresh.button(key="discard").click().run()
    assert store.entries(task_id, "predict") == []
    # What was said of them goes with them.
    assert runner.jobs(task_id, "predict") == []
    assert not folder.exists()
    assert store.notices(task_id, "predict") == []
    assert runner.find(adapted).state == "done"


@pytest.mark.parametrize("far", [False, True])
def test_a_scan_unlike_the_others_gets_no_answer_to_rely_on(
    open_page, store, runner, task_id, adapted, far, monkeypatch
):
    store.add_uploads(task_id, [("new.png", stripes(77, upright=True))], role="predict")
    app = open_page("4_Predict.py", task=task_id)
    app.button(key="read").click().run()
    (job,) = runner.jobs(task_id, "predict")
    assert runner.wait(job.id).state == "done"
    path = runner.result(runner.find(job.id)) / "readings.json"
    path.write_text(json.dumps(with_distance(json.loads(path.read_text()), 9.0 if far else 0.5)))
    app = open_page("4_Predict.py", task=task_id)
    assert not app.exception
    headings = [str(item.value) for item in app.markdown if str(item.value).startswith("#####")]
    assert any("No answer to rely on" in text for text in headings) is far
    assert any("upright" in text for text in headings) is not far
    assert ("9.0 times as far" in texts(app)) is far
    assert ("What it would say of a scan like those" in [each.label for each in app.expander]) is far


def with_distance(readings: object, distance: float) -> object:
    """The same JSON with every out-of-domain score replaced."""
    if isinstance(readings, list):
        return [with_distance(item, distance) for item in readings]
    if isinstance(readings, dict):
        return {
            key: distance if key == "out_of_domain" else with_distance(item, distance)
            for key, item in readings.items()
        }
    return readings


def test_predict_with_a_gone_model(open_page, runner, store, task_id, adapted):
    store.add_uploads(task_id, [("new.png", stripes(77, upright=True))], role="predict")
    (runner.result(runner.find(adapted)) / "model.safetensors").unlink()
    app = open_page("4_Predict.py", task=task_id)
    app.button(key="read").click().run()
    (job,) = runner.jobs(task_id, "predict")
    assert runner.wait(job.id).state == "failed"
    fresh = open_page("4_Predict.py", task=task_id)
    assert not fresh.exception
    assert "did not work" in fresh.error[0].value
