"""No identifying element of real DICOM files comes out on any page, in a run's files or in the log."""

from __future__ import annotations

import io
import zipfile

import pydicom
from helpers import pdf_text
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medmeta.cli import main
from medmeta.reports.deidentification import as_html, as_json
from medmeta.reports.html import html_report
from medmeta.reports.pdf import pdf_report
from medmeta.scans.pixel_text import TextFinder
from medmeta.workspace import pixel_text
from medmeta.workspace.deid_report import report_of_task
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


def worst_of(path, count=4):
    """Real files with canaries where a careless reader might keep them, as a ZIP with a comment and odd columns."""
    files = zipfile.ZipFile(path)
    names = [n for n in files.namelist() if not n.endswith(("/", ".csv"))][:: len(files.namelist()) // count]
    buffer, rows = io.BytesIO(), ["file,label,group,note PHI-CANARY"]
    with zipfile.ZipFile(buffer, "w") as part:
        part.comment = CANARY
        for number, name in enumerate(names):
            made = pydicom.dcmread(io.BytesIO(files.read(name)))
            made.preamble = CANARY.ljust(128, b"\0")
            made.file_meta.SourceApplicationEntityTitle = "PHI-CANARY"
            block = made.private_block(0x0029, "PHI-CANARY", create=True)
            block.add_new(1, "LO", "PHI-CANARY private")
            block.add_new(2, "UN", CANARY + b"\0")
            inner = Dataset()
            inner.PatientName, inner.RetrieveURL = "PHI-CANARY nested", "PHI-CANARY"
            inner.ReferencedImageSequence = Sequence([Dataset()])
            inner.ReferencedImageSequence[0].TextString = "PHI-CANARY deep"
            made.RequestAttributesSequence = Sequence([inner])
            made.PatientSex, made.RescaleType, made.Laterality = "PHI-CANARY", "PHI-CANARY", "PHI-CANARY"
            made.PresentationLUTShape, made.BurnedInAnnotation = "PHI-CANARY", "PHI-CANARY"
            made.add_new(0x60003000, "OW", CANARY)  # Overlay Data
            out = io.BytesIO()
            made.save_as(out, enforce_file_format=True)
            info = zipfile.ZipInfo(f"IM{number}")
            info.comment, info.extra = CANARY, b"\xfe\xca\x0a\0" + CANARY
            part.writestr(info, out.getvalue())
            rows.append(f"IM{number},{'ab'[number % 2]},,PHI-CANARY {number}")
            if not number:  # damaged, so that a reason is given
                part.writestr("broken", out.getvalue()[:3000] + CANARY)
        part.writestr("labels.csv", "\n".join(rows))
    return buffer.getvalue(), len(names)


def test_hidden_places_are_left_behind(open_page, store, shared_data, caplog, tmp_path, capsys):
    caplog.set_level("DEBUG")
    task_id = store.create_task("Hidden")
    for name in ("kermany_cxr_dicom.zip", "lc25000_lung_dicom.zip"):
        content, count = worst_of(shared_data / "dicom" / name)
        caplog.clear()  # making such files logs their values
        assert content.count(CANARY) > 10 * count
        summary = store.add_uploads(task_id, [(name, content)])
        assert summary.accepted == count
        assert len(summary.rejected) == 1
        assert CANARY.decode() not in repr(summary)
    pixel_text.search(store, task_id, TextFinder())
    pixel_text.keep(store, task_id, store.entries(task_id))
    report = report_of_task(store, task_id)
    assert report.scans == len(store.entries(task_id))
    for text in (as_html(report), as_json(report)):
        assert CANARY.decode() not in text
        assert (store.root / "pseudonyms.key").read_bytes().hex() not in text
    app = open_page("1_Scans.py", task=task_id)
    assert not app.exception
    assert "De-identification report" in "".join(str(each.value) for each in app.caption)
    assert CANARY not in drawn(app)
    kept = [path for path in store.root.rglob("*") if path.is_file()]
    assert not [path.name for path in kept if CANARY in path.read_bytes()]
    (tmp_path / "scans.zip").write_bytes(content)
    out = tmp_path / "out.json"
    assert (
        main(
            [
                "scan",
                str(tmp_path / "scans.zip"),
                "--json",
                str(out),
                "--deid-report",
                str(tmp_path / "r.html"),
            ]
        )
        == 0
    )
    assert CANARY.decode() not in out.read_text() + (tmp_path / "r.html").read_text()
    assert CANARY.decode() not in caplog.text + "".join(capsys.readouterr())


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
