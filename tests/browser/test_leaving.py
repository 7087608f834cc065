"""The report in a real browser, and what leaves the program: threshold slider, accessibility, DICOM, bundle."""

from __future__ import annotations

import io
import json
import re
import zipfile
from itertools import pairwise
from pathlib import Path

import highdicom as hd
import pydicom
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_scans import CANARY, ct
from playwright.sync_api import Browser, Page, expect
from workbench import LONG, Adapted, NewWindow, Server, downloaded, grid, open_page, settle, upload

from medmeta.api import extractor
from medmeta.learners.registry import make_learner
from medmeta.workspace.bundle import opened
from medmeta.workspace.verify import verify_run


def threshold_row(percent: int) -> str:
    return f"Call from {percent}\u00a0% on"


def move(page: Page, percent: int) -> None:
    """Move the threshold's handle with the keyboard, as a person without a mouse does."""
    slider = page.get_by_test_id("stSlider").get_by_role("slider")
    slider.scroll_into_view_if_needed()
    slider.focus()
    low, high, now = (int(slider.get_attribute(name) or "") for name in ("min", "max", "value"))
    for key, end in (("Home", low), ("End", high)):
        if abs(percent - end) < abs(percent - now):
            slider.press(key)
            now = end
    expect(slider).to_have_value(str(now))
    for _ in range(abs(percent - now)):
        slider.press("ArrowRight" if percent > now else "ArrowLeft")
    expect(slider).to_have_value(str(percent))
    # The slider tells its value half a second after the last key, on a busy machine later; the table says which it is.
    cell = page.get_by_test_id("data-grid-canvas").locator("td", has_text=threshold_row(percent))
    cell.wait_for(state="attached")
    settle(page)


def test_the_slider_changes_counts_and_net_benefit(adapted: Adapted, page: Page, server: Server) -> None:
    open_page(page, server, "Evaluate", task=adapted.task_id, job=adapted.job_id)
    page.get_by_role("heading", name="What if it called a class sooner, or later?").wait_for()
    label, prevalence = adapted.evaluation["classes"][0], 0.1
    cases = adapted.evaluation["per_case"]
    own = [case["probabilities"][label] for case in cases if case["label"] == label]
    others = [case["probabilities"][label] for case in cases if case["label"] != label]
    seen = set()
    for percent in (50, 12, 93):
        move(page, percent)
        threshold = percent / 100
        found, wrong = sum(p >= threshold for p in own), sum(p >= threshold for p in others)
        assert grid(page, "Called it") == [
            [f"labelled {label}", str(found), str(len(own) - found)],
            ["labelled otherwise", str(wrong), str(len(others) - wrong)],
        ]
        odds = threshold / (1 - threshold)
        worth = 100 * (prevalence * found / len(own) - (1 - prevalence) * odds * wrong / len(others))
        everybody = 100 * (prevalence - (1 - prevalence) * odds)
        shown = {row[0]: float(row[1].replace("−", "-")) for row in grid(page, "Worth per 100 people")}
        assert shown == pytest.approx(
            {threshold_row(percent): worth, "Call everybody": everybody, "Call nobody": 0}, abs=0.051
        )
        expect(page.get_by_text(f"{found} of {len(own)} scans found")).to_be_visible()
        seen.add((found, wrong, round(worth, 1)))
    assert len(seen) > 1, "the thresholds must differ in what they bring"


@pytest.fixture(scope="module")
def report(
    adapted: Adapted, open_window: NewWindow, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    page = open_window()
    open_page(page, server, "Evaluate", task=adapted.task_id, job=adapted.job_id)
    page.get_by_role("heading", name="Take it with you").wait_for()
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(downloaded(page, "Report (HTML)"))
    page.context.close()
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_accessible(report: Path, browser: Browser, scheme: str) -> None:
    # The page's own policy forbids scripts that are not its own; a check from outside needs it lifted.
    context = browser.new_context(offline=True, color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator(".plot .main-svg").first.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    # Plotly's drawings are pictures to a screen reader, told by their label; what is inside them is hidden from it.
    found = Axe().run(page, context={"exclude": [[".plot"]]})
    told = [f"{item['id']}: {item['nodes'][0]['html'][:160]}" for item in found.response["violations"]]
    assert told == []
    levels = [
        int(tag[1]) for tag in page.locator("h1, h2, h3").evaluate_all("all => all.map(h => h.tagName)")
    ]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    for plot in page.locator(".plot").all():
        assert plot.get_attribute("role") == "img"
        assert len(plot.get_attribute("aria-label") or "") > 10
    context.close()


def test_the_report_fits_a_narrow_window_and_paper(report: Path, browser: Browser) -> None:
    context = browser.new_context(offline=True, viewport={"width": 420, "height": 900})
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator(".plot .main-svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    expect(page.get_by_role("button", name="Show all scans")).to_be_hidden()
    expect(page.locator("nav")).to_be_hidden()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    context.close()


def test_the_evaluation_leaves_as_dicom_and_as_a_bundle(
    adapted: Adapted, page: Page, server: Server, tmp_path: Path
) -> None:
    open_page(page, server, "Evaluate", task=adapted.task_id, job=adapted.job_id)
    page.get_by_role("heading", name="Take it with you").wait_for()
    with zipfile.ZipFile(io.BytesIO(downloaded(page, "Report (DICOM)"))) as files:
        assert sorted(files.namelist()) == ["report.dcm", "summary.dcm"]
        contents = {name: files.read(name) for name in files.namelist()}
    assert CANARY.encode() not in b"".join(contents.values())
    overall = hd.sr.srread(io.BytesIO(contents["report.dcm"])).content.get_image_measurement_groups()[0]
    shown = {item.name.meaning: item.value for item in overall.get_measurements()}
    patients = adapted.evaluation["patients"]
    assert (shown["patients right"], shown["patients tested"]) == (patients["correct"], patients["n"])
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(downloaded(page, "For a reviewer (ZIP)"))
    with opened(bundle) as folder:
        everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
        assert CANARY.encode() not in everything
        assert b"IM0009" not in everything
        found = verify_run(folder, lambda name: make_learner(name, extractor("cpu")))
    assert found.differences == ()
    assert json.loads(json.dumps(found.to_json()))["same"] is True


def test_readings_leave_as_dicom(adapted: Adapted, page: Page, server: Server) -> None:
    open_page(page, server, "Predict", task=adapted.task_id, job=adapted.job_id)
    cards = page.get_by_role("heading", level=5)
    before = cards.count()  # scans that another test had read, under the same heading
    upload(page, files={"one": ct(81), "two": ct(82)})
    page.get_by_role("button", name=re.compile(r"Read \d scans?")).click()
    expect(cards).to_have_count(before + 2, timeout=LONG)
    with zipfile.ZipFile(io.BytesIO(downloaded(page, "Readings (DICOM)"))) as files:
        contents = [files.read(name) for name in files.namelist()]
    assert len(contents) >= 2
    for content in contents:
        assert CANARY.encode() not in content
        report = hd.sr.srread(io.BytesIO(content))
        assert re.fullmatch(r"P-[0-9a-f]{10}", str(report.PatientID))
        (group,) = report.content.get_image_measurement_groups()
        chances = [m.value for m in group.get_measurements() if m.name.meaning.startswith("probability of")]
        assert sum(chances) == pytest.approx(1)
        assert group.source_images[0].referenced_sop_class_uid == pydicom.uid.CTImageStorage
