"""Every page empty, at work and in trouble."""

from __future__ import annotations

import json
import re
import threading

import pytest
from helpers import stripes
from page_helpers import HOSTILE, texts, wait_for

from medmeta.errors import TaskError
from medmeta.ui import guard
from medmeta.workspace.records import WorkspaceError

PAGES = ("1_Scans.py", "2_Adapt.py", "3_Evaluate.py", "4_Predict.py")


def button(app, label):
    return next(item for item in app.button if item.label == label)


def unescaped(text):
    """Whether some part of the hostile label would be acted on."""
    return re.search(r"(?<!\\)(<img|\[a|\]\(|:red|\$d)", text)


@pytest.mark.parametrize("page", PAGES)
def test_page_without_a_task_shows_the_way(open_page, page):
    app = open_page(page)
    assert not app.exception
    assert "No task yet" in texts(app)


@pytest.mark.parametrize("page", ["app.py", *PAGES])
def test_unusable_workspace_is_said_and_nothing_else_breaks(open_page, monkeypatch, page):
    def refuse(root):
        raise WorkspaceError("the workspace was written by another version")

    monkeypatch.setattr(guard, "_workspace", refuse)
    app = open_page(page)
    assert not app.exception
    assert "another version" in app.error[0].value
    assert "MEDMETA_WORKSPACE" in app.error[0].value


@pytest.mark.parametrize("page", ["app.py", *PAGES])
def test_research_use_is_said_everywhere(open_page, task_id, page):
    app = open_page(page, task=task_id)
    assert any("Research use only" in item.value for item in app.sidebar.caption)


# Home


def test_home_empty(open_page):
    app = open_page("app.py")
    assert not app.exception
    assert "synthetic" in texts(app)
    assert "No task yet" in app.info[0].value
    assert "CPU" in "".join(item.value for item in app.sidebar.caption) or app.sidebar.caption


def test_home_lists_tasks_and_escapes_their_names(open_page, store, task_id):
    store.create_task(HOSTILE)
    app = open_page("app.py")
    assert not app.exception
    assert not unescaped(texts(app))
    assert "8 scans of 8 patients in 2 classes" in texts(app)
    assert "ready to adapt" in texts(app)


def test_sample_task_is_made_once(open_page, store, runner):
    app = open_page("app.py")
    button(app, "Try the sample task").click().run()
    assert not app.exception
    (task,) = store.tasks()
    assert task.synthetic
    (job,) = runner.jobs(task.id, "intake")
    assert runner.wait(job.id).state == "done"
    assert store.find_task(task.id).classes == 3
    again = open_page("app.py")
    button(again, "Try the sample task").click().run()
    assert len(store.tasks()) == 1


# Scans


def test_scans_upload_label_and_undo(open_page, store, runner):
    task_id = store.create_task("New")
    app = open_page("1_Scans.py", task=task_id)
    assert not app.exception
    assert "No scans yet" in app.info[0].value
    app.file_uploader[0].set_value(
        [
            ("a/1.png", stripes(1, upright=True), "image/png"),
            ("broken.dcm", b"\0" * 128 + b"DICMjunk", "application/octet-stream"),
        ]
    ).run()
    assert not app.exception
    wait_for(lambda: all(not job.live for job in runner.jobs(task_id, "intake")))
    app.run()
    assert not app.exception
    assert "1 scan added, 1 refused" in texts(app).replace("\\", "")
    assert "broken" in texts(app)
    assert [len(item.value) for item in app.file_uploader] == [0, 0]
    (entry,) = store.entries(task_id)
    assert entry.label == "a"


def test_scans_bulk_label_through_the_toolbar(open_page, store, task_id):
    app = open_page("1_Scans.py", task=task_id)
    button(app, "Select all 8").click().run()
    assert app.session_state["ticks"] == {entry.id for entry in store.entries(task_id)}
    app.selectbox(key="bulk-label").set_value("upright").run()
    button(app, "Set label").click().run()
    assert not app.exception
    assert {entry.label for entry in store.entries(task_id)} == {"upright"}
    button(app, "Undo").click().run()
    assert {entry.label for entry in store.entries(task_id)} == {"upright", HOSTILE}
    button(app, "Redo").click().run()
    assert {entry.label for entry in store.entries(task_id)} == {"upright"}


def test_scans_filter_and_move_to_testing(open_page, store, task_id):
    app = open_page("1_Scans.py", task=task_id)
    app.text_input(key="table-search").set_value("upright").run()
    button(app, "Select all 4").click().run()
    button(app, "Move to testing").click().run()
    assert not app.exception
    assert {entry.role for entry in store.entries(task_id) if entry.label == "upright"} == {"query"}


def test_scans_with_gone_pixels_still_opens(open_page, store, task_id):
    for entry in store.entries(task_id):
        store.blobs.remove(entry.scan_id)
    app = open_page("1_Scans.py", task=task_id)
    assert not app.exception
    assert "missing or damaged" in texts(app)


def test_many_scans_come_a_page_at_a_time(open_page, store, picture_pile):
    app = open_page("1_Scans.py", task=picture_pile)
    assert not app.exception
    table = next(item for item in app.data_editor if "image" in item.value)
    assert len(table.value) == 50
    button(app, "Select all 120").click().run()
    assert len(app.session_state["ticks"]) == 120


def test_a_link_opens_one_scan_on_its_page_of_the_table(open_page, store, picture_pile):
    wanted = store.entries(picture_pile)[70]
    store.set_role(picture_pile, [entry.id for entry in store.entries(picture_pile)[:5]], "query")
    app = open_page("1_Scans.py", task=picture_pile, scan=str(wanted.id))
    assert not app.exception
    assert app.session_state[f"viewed-{picture_pile}"] == wanted.id
    table = next(item for item in app.data_editor if "image" in item.value)
    assert wanted.file in list(table.value["file"])
    assert "scan" not in app.query_params
    first = store.entries(picture_pile, "query")[0]
    app = open_page("1_Scans.py", task=picture_pile, scan=str(first.id))
    table = next(item for item in app.data_editor if "image" in item.value)
    assert table.value["file"].iloc[0] == first.file
    assert not open_page("1_Scans.py", task=picture_pile, scan="no such").exception


def test_side_and_way_of_working_survive_a_refresh(open_page, store, task_id):
    store.set_role(task_id, [store.entries(task_id)[0].id], "query")
    app = open_page("1_Scans.py", task=task_id)
    app.segmented_control(key=f"role-{task_id}").set_value("query").run()
    app.segmented_control(key=f"way-{task_id}").set_value("one").run()
    assert not app.exception
    assert (app.query_params["role"], app.query_params["way"]) == ("query", "one")
    again = open_page("1_Scans.py", task=task_id, role="query", way="one")
    assert not again.exception
    assert [each.value for each in again.segmented_control] == ["query", "one"]
    again.segmented_control(key=f"role-{task_id}").set_value("support").run()
    again.segmented_control(key=f"way-{task_id}").set_value("table").run()
    assert "role" not in again.query_params
    assert "way" not in again.query_params


@pytest.fixture
def picture_pile(store):
    task_id = store.create_task("Many")
    store.add_uploads(task_id, [(f"a/{n}.png", stripes(n, upright=True)) for n in range(120)])
    return task_id


# Adapt


def test_adapt_says_what_is_missing(open_page, store, task_id):
    store.set_label(task_id, [entry.id for entry in store.entries(task_id)], "one")
    app = open_page("2_Adapt.py", task=task_id)
    assert not app.exception
    assert "What is missing" in texts(app)
    assert app.button(key="adapt").disabled


def test_adapt_runs_and_is_found_again(open_page, runner, task_id):
    app = open_page("2_Adapt.py", task=task_id)
    app.button(key="adapt").click().run()
    assert not app.exception
    (job,) = runner.jobs(task_id, "adapt")
    assert app.query_params["job"] == job.id
    assert runner.wait(job.id, 120).state == "done"
    again = open_page("2_Adapt.py", task=task_id, job=job.id)
    assert not again.exception
    assert "of 8 patients right" in texts(again)
    assert "Adapted and tested in" in again.success[0].value


def test_second_click_and_refresh_find_the_running_job(open_page, runner, task_id):
    gate = threading.Event()

    def slow(out, progress):
        while not gate.wait(0.01):
            progress(0.4, "Looking at scan 4 of 8")

    app = open_page("2_Adapt.py", task=task_id)
    job = runner.submit("adapt", task_id, slow)
    try:
        app.button(key="adapt").click().run()
        assert not app.exception
        assert [item.id for item in runner.jobs(task_id, "adapt")] == [job.id]
        fresh = open_page("2_Adapt.py", task=task_id)
        assert "Adapting and testing" in texts(fresh)
        assert fresh.query_params["job"] == job.id
        button(fresh, "Cancel").click().run()
        assert runner.wait(job.id).state == "cancelled"
    finally:
        gate.set()
    after = open_page("2_Adapt.py", task=task_id)
    assert "was cancelled" in texts(after)
    assert not after.button(key="adapt").disabled


def test_failed_and_interrupted_jobs_say_what_to_do(open_page, store, runner, task_id):
    def fail(out, progress):
        raise TaskError(f"the label {HOSTILE} is too rare")

    job = runner.wait(runner.submit("adapt", task_id, fail).id)
    app = open_page("2_Adapt.py", task=task_id)
    assert "did not work" in app.error[0].value
    assert not unescaped(app.error[0].value)
    assert not app.button(key="adapt").disabled
    with store.database.write() as connection:
        connection.execute("UPDATE job SET state = 'interrupted' WHERE id = ?", (job.id,))
    assert "interrupted" in open_page("2_Adapt.py", task=task_id).warning[0].value


# Evaluate


def test_evaluate_before_any_run(open_page, task_id):
    app = open_page("3_Evaluate.py", task=task_id)
    assert not app.exception
    assert "Nothing to evaluate yet" in texts(app)


def test_evaluate_shows_figures_and_the_cases_of_a_cell(open_page, store, task_id, adapted):
    app = open_page("3_Evaluate.py", task=task_id)
    assert not app.exception
    said = texts(app)
    assert "of 8 patients right" in said
    assert not unescaped(said)
    assert "have changed since" not in said
    assert len(app.download_button) == 7
    # Four patients a class are too few for a threshold, and eight for the rest.
    assert len(app.slider) == 0
    assert "found 4 and 4" in said
    assert "needs 10 patients, found 8" in said
    assert "Divided 10 times into 4 groups" in said
    assert "with 3 instead of 2 patients" in said
    app.selectbox(key=f"cell-{adapted}-true").set_value(0)
    app.selectbox(key=f"cell-{adapted}-predicted").set_value(0).run()
    assert not app.exception
    assert "Most alike among the scans learned from" in texts(app)
    store.set_label(task_id, [store.entries(task_id)[0].id], "other")
    assert "have changed since" in texts(open_page("3_Evaluate.py", task=task_id))


def test_evaluate_with_a_damaged_result(open_page, runner, task_id, adapted):
    (runner.result(runner.find(adapted)) / "evaluation.json").write_text("{")
    app = open_page("3_Evaluate.py", task=task_id)
    assert not app.exception
    assert "run the adaptation again" in app.error[0].value


# Why


def test_an_answer_is_explained_by_a_job_and_shown_again(open_page, store, runner, task_id, adapted):
    app = open_page("3_Evaluate.py", task=task_id)
    button(app, "Show the places").click().run()
    assert not app.exception
    (job,) = runner.jobs(task_id, "explain")
    assert runner.wait(job.id, 120).state == "done"
    again = open_page("3_Evaluate.py", task=task_id)
    assert not again.exception
    said = texts(again)
    assert "Orange places speak for" in said or "the parts do not add up" in said
    assert not unescaped(said)
    store.set_label(task_id, [store.entries(task_id)[0].id], "other")
    assert "adapt again to ask where" in texts(open_page("3_Evaluate.py", task=task_id))


def test_a_damaged_explanation_says_so(open_page, runner, task_id, adapted):
    app = open_page("3_Evaluate.py", task=task_id)
    button(app, "Show the places").click().run()
    (job,) = runner.jobs(task_id, "explain")
    job = runner.wait(job.id, 120)
    (runner.result(job) / "explanation.json").write_text('{"heat": [1]}')
    again = open_page("3_Evaluate.py", task=task_id)
    assert not again.exception
    assert "ask for it again" in again.error[0].value


def test_adapting_is_never_said_to_take_no_time(open_page, runner, task_id, adapted):
    """The scans may all have been looked at before, while they were labelled."""
    job = runner.find(adapted)
    path = runner.result(job) / "evaluation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 0.02}))
    app = open_page("3_Evaluate.py", task=task_id, job=adapted)
    assert not app.exception
    assert [each.value for each in app.metric if each.label == "Time to adapt"] == ["under 0.1 s"]
