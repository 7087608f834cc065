"""The viewer's own scripts, alone in a page and in the workbench: for two fingers, Tab and Enter, a second screen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from volumes import ct_series, ct_slice
from workbench import NewWindow, Server, open_page, settle

import medmeta.ui
from medmeta.workspace.store import Store

PARTS = Path(medmeta.ui.__file__).parent / "component"

#: A pane of its own with one scan of two by two grey pixels.
ALONE = """() => {
    window.frames_ = new Frames();
    window.pane = new Pane(document.body, frames_);
    window.info = (id, more) => ({id, title: id, text: id, noun: "Frame", length: 1, chunk: 1, start: 0, rows: 2,
        columns: 2, stride: 1, unit: "", aspect: 1, spacing: null, spacingWord: "", letters: null, places: [null],
        marks: [false], used: [false], usedWord: "", markable: false, ...more});
    frames_.put("a", {pane: "a", index: 0, rows: 2, columns: 2, dtype: "|u1", colour: false, window: [128, 256],
        curve: "LINEAR", monochrome1: false, table: null, values: new Uint8Array([200, 200, 200, 200])});
    pane.show(info("a"));
    pane.draw(100);
}"""
MIDDLE = """() => [...pane.canvas.getContext('2d').getImageData(pane.canvas.width / 2, 50, 1, 1).data]"""


@pytest.fixture
def alone(page: Page) -> Page:
    page.set_content(f"<style>{(PARTS / 'viewer.css').read_text()}</style><body></body>")
    for name in ("pixels.js", "pane.js"):
        page.add_script_tag(content=(PARTS / name).read_text(encoding="utf-8"))
    page.evaluate(ALONE)
    return page


def test_no_picture_is_left_under_the_name_of_another_scan(alone: Page) -> None:
    assert alone.evaluate(MIDDLE) == [200, 200, 200, 255]
    alone.evaluate("() => { pane.show(info('b')); pane.draw(100); }")
    assert alone.evaluate(MIDDLE) == [0, 0, 0, 0]
    expect(alone.locator(".note.tl")).to_have_text("b")
    expect(alone.locator(".pane")).to_have_class(re.compile("waiting"))


@pytest.mark.parametrize(("spacing", "words"), [(0.7, "100 mm"), (0.00025, "50 µm"), (0.001, "0.2 mm")])
def test_the_scale_bar_is_a_round_length_in_fitting_units(alone: Page, spacing: float, words: str) -> None:
    """A pane 1,000 pixels wide shows 1,000 columns one to one, so 200 columns is the most that the bar may span."""
    alone.set_viewport_size({"width": 1016, "height": 1100})
    alone.evaluate(
        "(mm) => { pane.show(info('c', {spacing: [mm, mm], rows: 1000, columns: 1000})); pane.draw(1000); }",
        spacing,
    )
    assert alone.locator(".scale span").inner_text() == words
    number, unit = words.split()
    box = alone.locator(".scale").bounding_box()
    assert box is not None
    mm = float(number) / (1000 if unit == "µm" else 1)
    assert box["width"] == pytest.approx(mm / spacing, rel=0.02)


@pytest.fixture(scope="module")
def task_id(store: Store) -> str:
    """A series of nine slices, then three slices of three other patients."""
    task_id = store.create_task("Parts")
    store.add_uploads(task_id, [(f"s/IM{n}", data) for n, data in enumerate(ct_series(1, 9))])
    ones = [(f"one{n}", ct_slice(20 + n, series=f"1.2.826.9.{n}", height=0, side=64)) for n in range(3)]
    store.add_uploads(task_id, ones)
    return task_id


@pytest.fixture
def look(server: Server, task_id: str) -> Callable[[Page], Locator]:
    """Opens the Scans page with the series in the viewer."""

    def make(page: Page) -> Locator:
        open_page(page, server, "Scans", task=task_id)
        pane = page.locator(".pane").first
        expect(pane.locator(".note.tr")).to_contain_text("Slice 5 of 9")
        page.evaluate("document.activeElement.blur()")
        pane.scroll_into_view_if_needed()
        return pane

    return make


def test_what_is_read_out_and_under_the_pointer_is_the_slice_on_the_screen(
    page: Page, look: Callable[[Page], Locator]
) -> None:
    pane = look(page)
    pane.hover()
    value = pane.locator(".note.bl")
    expect(value).to_contain_text("HU")
    before = value.inner_text()
    page.mouse.wheel(0, 100)
    expect(pane.locator(".note.tr")).to_contain_text("Slice 6 of 9")
    expect(value).not_to_have_text(before, use_inner_text=True)  # noise differs from slice to slice
    expect(page.locator(".said")).to_contain_text("Slice 6 of 9")
    # A touchpad: many small steps are one slice.
    for _ in range(5):
        page.mouse.wheel(0, 10)
    expect(pane.locator(".note.tr")).to_contain_text("Slice 7 of 9")
    page.wait_for_timeout(200)
    expect(pane.locator(".note.tr")).to_contain_text("Slice 7 of 9")


def test_two_fingers_zoom_and_leave_the_window_alone(
    new_window: NewWindow, look: Callable[[Page], Locator]
) -> None:
    page = new_window(has_touch=True)
    pane = look(page)
    corner = pane.locator(".note.br")
    expect(corner).to_contain_text("L 40")
    level, before = corner.inner_text().split("\n")
    box = pane.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x + dx, "y": y + dy, "id": n} for n, (dx, dy) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (-30, 0))
    fingers("touchStart", (-30, 0), (30, 0))
    for apart in range(35, 65, 5):
        fingers("touchMove", (-apart, 0), (apart, 0))
    fingers("touchEnd")
    expect(corner).not_to_contain_text(before)
    now, after = corner.inner_text().split("\n")
    assert now == level
    assert float(after.split()[0]) == pytest.approx(2 * float(before.split()[0]), rel=0.1)
    # One finger afterwards is one again: it moves the window.
    fingers("touchStart", (0, 0))
    fingers("touchMove", (40, 0))
    fingers("touchEnd")
    expect(corner).not_to_contain_text(level)
    assert corner.inner_text().split("\n")[1] == after


def test_a_finer_screen_gets_more_dots(page: Page, look: Callable[[Page], Locator]) -> None:
    pane = look(page)
    canvas = pane.locator("canvas")
    width = int(canvas.evaluate("canvas => canvas.width"))
    session = page.context.new_cdp_session(page)
    session.send(
        "Emulation.setDeviceMetricsOverride",
        {"width": 1440, "height": 1001, "deviceScaleFactor": 2, "mobile": False},
    )
    for _ in range(100):
        if int(canvas.evaluate("canvas => canvas.width")) == 2 * width:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"the canvas stays {width} dots wide")


def test_tab_and_enter_label_one_scan_after_the_other(
    page: Page, server: Server, store: Store, task_id: str
) -> None:
    open_page(page, server, "Scans", task=task_id)
    page.get_by_text("Label one by one").click()
    settle(page)
    page.get_by_role("textbox", name="New class").fill("clear")
    page.get_by_role("button", name="Add class").click()
    button = page.locator(".labels .class").filter(has_text="clear")
    button.wait_for()
    settle(page)
    title = page.locator(".pane .note.tl")
    for n in (0, 1):
        expect(title).to_contain_text(f"one{n}")
        if n == 0:
            button.focus()
        page.keyboard.press("Enter")
        expect(title).to_contain_text(f"one{n + 1}")
        expect(button).to_be_focused()
    # A letter of another script labels by the key it stands on.
    page.evaluate(
        """() => document.body.dispatchEvent(
            new KeyboardEvent('keydown', {key: 'н', code: 'KeyN', bubbles: true, cancelable: true}))"""
    )
    settle(page)
    labels = {entry.file: entry.label for entry in store.entries(task_id) if entry.file.startswith("one")}
    assert labels == {"one0": "clear", "one1": "clear", "one2": None}
