"""The whole path in a real browser: DICOM in, labels, adapt, an honest matrix, the report out, a new scan read."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from browser_scans import CANARY, ct
from playwright.sync_api import Browser, Page, expect
from workbench import (
    Adapted,
    Server,
    Watch,
    adapt,
    class_counts,
    click_cell,
    click_mark,
    create_task,
    downloaded,
    listed_cases,
    open_page,
    settle,
    upload,
)


def check_cells(page: Page, run: Adapted) -> None:
    """Every cell with cases, and one without, opens exactly its own cases."""
    classes, confusion = run.evaluation["classes"], run.evaluation["confusion"]
    cells = [(i, j) for i in range(len(classes)) for j in range(len(classes))]
    full = [(i, j) for i, j in cells if confusion[i][j]]
    empty = [(i, j) for i, j in cells if not confusion[i][j]][:1]
    assert len(full) > len(classes) - 1
    for i, j in full + empty:
        files = run.cell(i, j)
        click_cell(page, run.evaluation, i, j)
        noun = "scan" if len(files) == 1 else "scans"
        said = f"{len(files)} {noun} labelled {classes[i]}, model says {classes[j]}"
        page.get_by_role("heading", name=said, exact=True).wait_for()
        settle(page)
        assert listed_cases(page, "cell-cases") == files


def test_evaluate_opens_the_cases_behind_each_cell(adapted: Adapted, page: Page, server: Server) -> None:
    patients = adapted.evaluation["patients"]
    assert patients["n"] == 16
    assert patients["correct"] >= 13, "the three classes are easy to tell apart"
    open_page(page, server, "Evaluate", task=adapted.task_id, job=adapted.job_id)
    page.get_by_role("heading", name=adapted.headline).wait_for()
    # The CT that was labelled MR stands in its cell.
    wrong = adapted.cell(adapted.evaluation["classes"].index("MR head"), 0)
    assert any(file.endswith("MR head/IM0009") for file in wrong)
    check_cells(page, adapted)


def test_everything_can_be_taken_away(
    adapted: Adapted, page: Page, server: Server, browser: Browser, tmp_path: Path
) -> None:
    open_page(page, server, "Evaluate", task=adapted.task_id, job=adapted.job_id)
    page.get_by_role("heading", name="Take it with you").wait_for()
    everything = json.loads(downloaded(page, "Everything (JSON)"))
    assert [len(checklist["items"]) for checklist in everything.pop("checklists")] == [44, 52]
    assert everything == adapted.evaluation
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "Cases (CSV)").decode("utf-8"))))
    told = {(row["file"], row["patient"], row["label"], row["predicted"]) for row in rows}
    cases = adapted.evaluation["per_case"]
    assert told == {(c["file"], c["group"], c["label"], c["predicted"]) for c in cases}
    assert len(rows) == len(cases) == 17
    assert downloaded(page, "Report (PDF)").startswith(b"%PDF-")
    report = downloaded(page, "Report (HTML)")
    assert CANARY.encode() not in report
    check_report(browser, report, adapted, tmp_path / "report.html")


def check_report(browser: Browser, report: bytes, run: Adapted, path: Path) -> None:
    """The report says the same, draws its figures, asks nobody for anything, and its matrix opens cases."""
    path.write_bytes(report)
    context = browser.new_context(offline=True)
    page = context.new_page()
    watch, asked = Watch(), []
    watch.follow(page)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator("#headline .headline")).to_have_text(run.headline)
    # Every figure is drawn: what is drawn later would move the matrix away from under the mouse.
    expect(page.locator(".plot:not(:has(.main-svg))")).to_have_count(0, timeout=60_000)
    files = run.cell(0, 0)
    click_mark(page, page.locator("#plot-confusion .scatterlayer .point").first)
    name = run.evaluation["classes"][0]
    expect(page.locator("#filter-text")).to_have_text(f"{len(files)} scans of “{name}” predicted as “{name}”")
    expect(page.locator("tr[data-cell]:visible")).to_have_count(len(files))
    context.close()
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    watch.check()


def test_a_new_scan_is_read(adapted: Adapted, page: Page, server: Server) -> None:
    open_page(page, server, "Predict", task=adapted.task_id, job=adapted.job_id)
    page.get_by_text("No new scans yet").wait_for()
    upload(page, files={"new-scan": ct(70)})
    page.get_by_role("button", name="Read 1 scan").click()
    page.get_by_role("heading", name="What the model says").wait_for()
    settle(page)
    expect(page.get_by_role("heading", level=5)).to_have_text(re.compile("CT chest"))
    shares = [
        re.fullmatch(r"(.+) · (\d+)\s%", bar) for bar in page.get_by_test_id("stProgress").all_inner_texts()
    ]
    told = {found[1]: int(found[2]) for found in shares if found}
    assert set(told) == {"CT chest", "MR head", "NM bone"}
    assert 98 <= sum(told.values()) <= 102
    assert max(told, key=lambda label: told[label]) == "CT chest"
    near = page.get_by_role("img", name=re.compile("^Scan labelled "))
    expect(near).to_have_count(3)
    labels = [picture.get_attribute("alt") for picture in near.all()]  # one of the CTs is labelled MR head
    assert "Scan labelled CT chest" in labels
    assert "Scan labelled NM bone" not in labels
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "Readings (CSV)").decode("utf-8"))))
    assert [row["file"] for row in rows] == ["new-scan"]
    # The answers survive a refresh.
    page.reload()
    page.get_by_role("heading", name="What the model says").wait_for()
    page.get_by_text("new-scan").first.wait_for()


@pytest.mark.parametrize("archive", ["kermany_cxr_dicom.zip", "lc25000_lung_dicom.zip"])
def test_the_path_on_files_as_a_pacs_exports_them(
    archive: str, shared_data: Path, page: Page, server: Server, tmp_path: Path
) -> None:
    with zipfile.ZipFile(shared_data / "dicom" / archive) as opened:
        names = sorted(name for name in opened.namelist() if re.search(r"/IM\d+$", name))
        classes = sorted({name.partition("/")[0] for name in names})
        # The first five of a class come in five transfer syntaxes.
        taken = [n for label in classes for n in [n for n in names if n.startswith(f"{label}/")][:5]]
        files = {name: opened.read(name) for name in taken}
    create_task(page, server, archive.partition("_")[0])
    summary = upload(page, folder=tmp_path / "export", files=files)
    assert "15 scans added" in summary
    assert {label: scans for label, (scans, _) in class_counts(page).items()} == dict.fromkeys(classes, 5)
    page.get_by_role("link", name="Next: adapt").click()
    run = adapt(page, server)
    assert len(run.evaluation["per_case"]) == 15
    page.get_by_role("link", name="See every figure and case").click()
    page.get_by_role("heading", name="Take it with you").wait_for()
    check_cells(page, run)
    assert CANARY.encode() not in downloaded(page, "Report (HTML)")
