"""The gate for burned-in text and the checks as they stand on the Scans page, and what their buttons do."""

from __future__ import annotations

import threading

from helpers import soft, stripes
from page_helpers import texts, wait_for

from medmeta.workspace.work import intake_work


def taken_in(store, runner, uploads):
    task_id = store.create_task("Gate")
    job = runner.submit(
        "intake", task_id, intake_work(store, task_id, uploads, "support"), {"role": "support"}
    )
    assert runner.wait(job.id, 120).state == "done"
    return task_id


def sample():
    uploads = [(f"{label}/{n}.png", soft(10 * k + n)) for k, label in enumerate("ab") for n in range(3)]
    uploads[0] = ("a/0.png", soft(0, "DOE^JANE 1961"))
    return uploads


def test_the_intake_job_flags_and_the_page_asks(open_page, store, runner):
    task_id = taken_in(store, runner, sample())
    app = open_page("1_Scans.py", task=task_id)
    assert not app.exception
    assert "1 scan may show text" in texts(app)
    app.button(key="text-keep-support").click().run()
    assert "may show text. " not in texts(app)
    assert "and kept it" in texts(app)
    assert not [entry for entry in store.entries(task_id) if entry.held]
    app.button(key="text-again-support").click().run()
    assert "1 scan may show text" in texts(app)
    app.button(key="text-blank-support").click().run()
    assert not app.exception
    assert "may show text" not in texts(app)
    assert store.undo(task_id) is not None
    assert "1 scan may show text" in texts(app.run())
    adapt = open_page("2_Adapt.py", task=task_id)
    assert "left out until you have looked" in texts(adapt)


def test_scans_can_be_labelled_while_the_search_goes_on(open_page, store, runner):
    task_id = taken_in(store, runner, sample()[1:])
    go_on = threading.Event()

    def work(out, progress):
        progress(0.5, "Looking for burned-in text, scan 3 of 5")
        go_on.wait(30)

    job = runner.submit("text", task_id, work)
    wait_for(lambda: "scan 3" in runner.find(job.id).message)
    app = open_page("1_Scans.py", task=task_id)
    assert "scan 3 of 5" in texts(app).replace("\\", "")
    assert "You can label meanwhile" in texts(app)
    assert "5 scans of 5 patients" in texts(app).replace("*", "")
    go_on.set()
    runner.wait(job.id)
    assert "You can label meanwhile" not in texts(app.run())


def test_an_interrupted_search_is_taken_up_again(open_page, store, runner):
    task_id = store.create_task("Gate")
    store.add_uploads(task_id, sample())
    job = runner.submit("text", task_id, lambda out, progress: None)
    runner.wait(job.id)
    with store.database.write() as connection:
        connection.execute("UPDATE job SET state = 'interrupted' WHERE id = ?", (job.id,))
    open_page("1_Scans.py", task=task_id)
    newest = runner.jobs(task_id, "text")[0]
    assert newest.id != job.id
    assert runner.wait(newest.id, 120).state == "done"
    assert "1 scan may show text" in texts(open_page("1_Scans.py", task=task_id))


def test_new_scans_wait_too(open_page, store, runner, adapted, task_id):
    work = intake_work(store, task_id, [("new.png", soft(7, "DOE^JANE 1961"))], "predict")
    assert runner.wait(runner.submit("intake", task_id, work, {"role": "predict"}).id, 60).state == "done"
    app = open_page("4_Predict.py", task=task_id)
    assert not app.exception
    assert "1 scan may show text" in texts(app)


def test_checks_stay_folded_where_a_person_labels(open_page, store, runner):
    uploads = [*sample()[1:], ("b/copy.jpg", soft(1, quality=80))]  # the copy contradicts a label
    app = open_page("1_Scans.py", task=taken_in(store, runner, uploads))

    def opened() -> list[bool]:
        return [each.proto.expanded for each in app.expander if "Checks" in each.label]

    assert opened() == [True]
    app.button_group(key=next(key for key in app.session_state if str(key).startswith("way-"))).set_value(
        "one"
    ).run()
    assert not app.exception
    assert opened() == [False]


def test_copies_are_shown_and_removed_undoably(open_page, store, runner):
    uploads = [*sample()[1:], ("a/copy.jpg", soft(1, quality=80)), ("b/copy.jpg", soft(11, quality=80))]
    task_id = taken_in(store, runner, uploads)
    app = open_page("1_Scans.py", task=task_id)
    assert "copies of one picture under different patients" in texts(app)
    assert "a/copy" in texts(app).replace("\\", "")
    app.button(key="settle-all-copies").click().run()
    assert not app.exception
    assert "copies of one picture" not in texts(app)
    assert len(store.entries(task_id)) == 5
    store.undo(task_id)
    assert len(store.entries(task_id)) == 7


def test_a_scan_unlike_all_others_is_named_and_removed(open_page, store, runner):
    blobs = [(f"{'ab'[n % 2]}/{n}.png", soft(n)) for n in range(9)]
    task_id = taken_in(store, runner, [*blobs, ("a/odd.png", stripes(0, upright=True))])
    open_page("1_Scans.py", task=task_id)  # nobody has compared the scans yet: it begins
    (job,) = runner.jobs(task_id, "text")
    assert runner.wait(job.id, 120).state == "done"
    app = open_page("1_Scans.py", task=task_id)
    assert "a/odd.png looks like none of the other scans" in texts(app).replace("\\", "")
    assert "These pictures are new to the model" in texts(app)
    stray = next(each.id for each in store.entries(task_id) if each.file == "a/odd.png")
    app.button(key=f"settle-stray-{stray}-1").click().run()
    assert not app.exception
    assert "looks like none of the other scans" not in texts(app)
    assert [each.id for each in runner.jobs(task_id, "text")] == [job.id]  # all have been compared
    store.undo(task_id)
    assert "looks like none of the other scans" in texts(app.run())


def test_nothing_is_compared_while_a_model_adapts(open_page, store, runner, engine):
    task_id = taken_in(store, runner, [(f"{'ab'[n % 2]}/{n}.png", soft(300 + n)) for n in range(10)])
    with engine.looks.resting():
        open_page("1_Scans.py", task=task_id)
        assert runner.jobs(task_id, "text") == []
    open_page("1_Scans.py", task=task_id)
    assert len(runner.jobs(task_id, "text")) == 1


def test_a_sound_task_has_no_panel(open_page, store, runner):
    task_id = taken_in(store, runner, sample()[1:])
    app = open_page("1_Scans.py", task=task_id)
    assert "Checks of all scans" not in "".join(expander.label for expander in app.expander)
    assert "material/warning" not in texts(open_page("2_Adapt.py", task=task_id))


def test_what_should_be_settled_first_stands_beside_the_button(open_page, store, runner):
    copies = [(f"b/copy-{n}.jpg", soft(n, quality=80)) for n in (1, 2)]  # of a/1 and a/2
    app = open_page("2_Adapt.py", task=taken_in(store, runner, [*sample()[1:], *copies]))
    assert not app.exception
    assert "look like copies of one picture under different labels (a, b)" in texts(app).replace("\\", "")
    assert not app.button(key="adapt").disabled
