"""No identifying element of real DICOM files comes out on any page, in a run's files or in the log."""

from __future__ import annotations

import io
import zipfile

from helpers import pdf_text

from medmeta.reports.html import html_report
from medmeta.reports.pdf import pdf_report
from medmeta.workspace.run import load_run, load_thumbnails
from medmeta.workspace.work import adapt_work, predict_work

CANARY = b"PHI-CANARY"


def some_of(path, first, last):
    """A smaller ZIP: files ``first`` to ``last`` of every class folder."""
    seen: dict[str, int] = {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(buffer, "w") as part:
        for name in sorted(whole.namelist()):
            folder, _, file = name.rpartition("/")
            if folder and file:
                seen[folder] = seen.get(folder, 0) + 1
                if first <= seen[folder] <= last:
                    part.writestr(name, whole.read(name))
    return buffer.getvalue()


def drawn(app):
    """Everything the browser would be sent."""
    return b"".join(
        node.proto.SerializeToString()
        for node in app._tree
        if hasattr(getattr(node, "proto", None), "SerializeToString")
    )


def test_nothing_identifying_comes_out(open_page, store, runner, engine, shared_data, caplog):
    source = shared_data / "dicom" / "kermany_cxr_dicom.zip"
    support, new = some_of(source, 1, 3), some_of(source, 4, 4)
    assert CANARY in b"".join(
        zipfile.ZipFile(io.BytesIO(support)).read(n) for n in zipfile.ZipFile(io.BytesIO(support)).namelist()
    )
    task_id = store.create_task("Canary")
    assert store.add_uploads(task_id, [("support.zip", support)]).accepted == 9
    store.add_uploads(task_id, [("broken", support[:4000] + CANARY)])
    job = runner.wait(runner.submit("adapt", task_id, adapt_work(store, task_id, engine.extractor)).id, 120)
    folder = runner.result(job)
    assert store.add_uploads(task_id, [("new.zip", new)], role="predict").accepted == 3
    work = predict_work(store, task_id, folder, engine.extractor)
    assert runner.wait(runner.submit("predict", task_id, work, {"run": job.id}).id, 60).state == "done"
    for page in ("app.py", "1_Scans.py", "2_Adapt.py", "3_Evaluate.py", "4_Predict.py"):
        app = open_page(page, task=task_id)
        assert not app.exception
        content = drawn(app)
        assert len(content) > 1000
        assert CANARY not in content
    evaluation, thumbnails = load_run(folder), load_thumbnails(folder)
    assert CANARY not in html_report(evaluation, thumbnails=thumbnails).encode()
    printed = pdf_text(pdf_report(evaluation, thumbnails=thumbnails))
    assert (
        f"of {evaluation.patients.n} patients right" in printed
    )  # the text can be read, so a name would show
    assert CANARY.decode() not in printed
    kept = [path for path in store.root.rglob("*") if path.is_file()]
    assert not [path.name for path in kept if CANARY in path.read_bytes()]
    assert CANARY.decode() not in caplog.text
