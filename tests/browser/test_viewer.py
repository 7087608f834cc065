"""The viewer in a real browser: each pixel as `render` has it, and what mouse and keys do."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import numpy as np
import pytest
from browser_scans import ct, ct_volume
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect
from pydicom.uid import generate_uid
from volumes import colour, ct_series, ct_slice, shown_otherwise
from workbench import Server, open_page, settle

from medmeta.scans.display import render
from medmeta.scans.scan import Scan
from medmeta.workspace.store import Store
from medmeta.workspace.volumes import volumes


@pytest.fixture(scope="module")
def task_id(store: Store) -> str:
    """Greys of every kind, colour, several frames, and two series."""
    task_id = store.create_task("Pixels")
    uploads = [("a/ct", ct(500)), ("b/frames", ct_volume()), ("c/colour", colour(1))]
    uploads += [(f"d/{name}", data) for name, data in shown_otherwise().items()]
    uploads += [(f"e/one/IM{n}", data) for n, data in enumerate(ct_series(1, 9, step=5))]
    uploads += [(f"f/two/IM{n}", data) for n, data in enumerate(ct_series(2, 13, step=2.5, lesion=True))]
    summary = store.add_uploads(task_id, uploads)
    assert summary.rejected == ()
    return task_id


def look_at(page: Page, server: Server, task_id: str, name: str) -> Locator:
    """The Scans page with one scan in the viewer, opened where it is not yet; returns its pane."""
    if f"task={task_id}" not in page.url:
        open_page(page, server, "Scans", task=task_id)
    search = page.get_by_role("textbox", name="Search")
    search.fill(name)
    search.press("Enter")
    page.get_by_test_id("stMarkdown").filter(has_text=re.compile(rf"^{re.escape(name)}\b")).wait_for()
    settle(page)
    pane = page.locator(".pane").first
    expect(pane).not_to_have_class(re.compile("waiting"))
    page.evaluate("document.activeElement.blur()")
    pane.scroll_into_view_if_needed()
    return pane


def drawn(page: Page, pane: Locator, rows: int, columns: int) -> NDArray[np.uint8]:
    """The canvas as the screen shows it, cut to the middle where a picture of this size lies at 1:1."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    # As base64: a list of numbers takes a second a picture on its way out of the browser.
    told = pane.locator("canvas").evaluate(
        """(canvas, [rows, columns]) => {
            const left = Math.round((canvas.width - columns) / 2), top = Math.round((canvas.height - rows) / 2);
            const { data } = canvas.getContext("2d").getImageData(left, top, columns, rows);
            return new Promise(done => {
                const reader = new FileReader();
                reader.onload = () => done(reader.result.split(",")[1]);
                reader.readAsDataURL(new Blob([data]));
            });
        }""",
        [rows, columns],
    )
    picture = np.frombuffer(base64.b64decode(told), np.uint8).reshape(rows, columns, 4)
    assert (picture[..., 3] == 255).all()
    return picture[..., :3]


def the_scan(store: Store, task_id: str, name: str) -> Scan:
    return store.scan(next(entry for entry in store.entries(task_id) if entry.file == name))


NAMES = ["a/ct", "c/colour", "d/monochrome1", "d/sigmoid", "d/exact", "d/table", "d/real", "d/bytes"]


def test_the_canvas_shows_what_render_draws(page: Page, server: Server, store: Store, task_id: str) -> None:
    for name in NAMES:
        check_pixels(page, look_at(page, server, task_id, name), the_scan(store, task_id, name))


def check_pixels(page: Page, pane: Locator, scan: Scan) -> None:
    """As stored, inverted, through a preset and through a window that is typed in."""
    page.get_by_role("button", name="1:1").click()

    def check(window: tuple[float, float] | None, *, invert: bool) -> None:
        expected = render(scan, window=window, invert=invert)
        if expected.ndim == 2:
            expected = np.repeat(expected[..., None], 3, axis=2)
        found = drawn(page, pane, scan.rows, scan.columns)
        assert expected.std() > 5, "a picture of one grey proves nothing"
        # The exponential may differ in its last bit, and so may a grey that lies on a half.
        tolerance = 1 if scan.window_function == "SIGMOID" else 0
        assert np.abs(expected.astype(int) - found.astype(int)).max() <= tolerance, scan.file

    check(None, invert=False)
    page.keyboard.press("i")
    check(None, invert=True)
    page.keyboard.press("i")
    if scan.is_colour:
        return
    if scan.unit == "HU":
        page.keyboard.press("2")
        check((-600, 1500), invert=False)
    centre = round(float(np.median(np.asarray(scan.pixels[0]))))
    page.get_by_role("spinbutton", name="Level").fill(str(centre))
    page.get_by_role("spinbutton", name="Level").press("Enter")
    page.get_by_role("spinbutton", name="Width").fill("77")
    page.get_by_role("spinbutton", name="Width").press("Enter")
    check((centre, 77), invert=False)


def test_mouse_and_keys_do_what_radiologists_expect(page: Page, server: Server, task_id: str) -> None:
    pane = look_at(page, server, task_id, "a/ct")
    corner = pane.locator(".note.br")
    first = corner.inner_text()
    box = pane.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(button: str, dx: float, dy: float) -> None:
        page.mouse.move(x, y)
        page.mouse.down(button=button)  # type: ignore[arg-type]
        page.mouse.move(x + dx, y + dy, steps=4)
        page.mouse.up(button=button)  # type: ignore[arg-type]

    def level() -> tuple[float, float]:
        found = re.search(r"L (\S+) +W (\S+)", corner.inner_text())
        assert found is not None
        return float(found[1]), float(found[2])

    def reaches(wanted: Callable[[tuple[float, float]], bool]) -> None:
        """The corner is written with the next picture, a moment after the key."""
        for _ in range(100):
            if wanted(level()):
                return
            page.wait_for_timeout(50)
        raise AssertionError(f"level and width stay {level()}")

    before = level()
    drag("left", 60, 0)
    reaches(lambda now: now[0] == before[0] and now[1] > before[1])
    drag("left", 0, 40)
    reaches(lambda now: now[0] > before[0])
    page.keyboard.press("r")
    expect(corner).to_have_text(first, use_inner_text=True)
    drag("right", 0, -60)
    expect(corner).not_to_have_text(first)
    pane.dblclick()
    expect(corner).to_have_text(first, use_inner_text=True)
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    expect(corner).not_to_have_text(first)
    page.keyboard.press("r")
    page.keyboard.press("+")
    expect(corner).not_to_have_text(first)
    page.keyboard.press("-")
    expect(corner).to_have_text(first, use_inner_text=True)
    page.keyboard.press("4")
    reaches(lambda now: now == (480, 2500))
    expect(page.get_by_role("button", name="Bone")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("0")
    expect(corner).to_have_text(first, use_inner_text=True)
    # Keys belong to a field while somebody types in it.
    page.get_by_role("textbox", name="Search").press_sequentially("4ri")
    expect(corner).to_have_text(first, use_inner_text=True)


def test_the_value_under_the_pointer_has_its_unit_and_its_place(
    page: Page, server: Server, store: Store, task_id: str
) -> None:
    pane = look_at(page, server, task_id, "e/one")
    rows = next(volume for volume in volumes(store.entries(task_id)) if volume.label == "e")
    scan = store.scan(rows.key)
    page.get_by_role("button", name="1:1").click()
    box = pane.bounding_box()
    assert box is not None
    left, top = round((box["width"] - 128) / 2), round((box["height"] - 128) / 2)
    page.mouse.move(box["x"] + left + 90.5, box["y"] + top + 40.5)
    # 320 mm over 128 columns: 2.5 mm each.
    said = f"{scan.pixels[0, 40, 90]} HU 225.0 mm, 100.0 mm column 90, row 40"
    expect(pane.locator(".note.bl")).to_have_text(said)
    letters = [pane.locator(f".letter.{at}").inner_text() for at in ("left", "right", "top", "bottom")]
    assert letters == ["R", "L", "A", "P"]
    bar, words = pane.locator(".scale").bounding_box(), pane.locator(".scale span").inner_text()
    assert bar is not None
    assert bar["width"] * 2.5 == pytest.approx(float(words.removesuffix(" mm")), abs=2.5)


def test_frames_and_slices_scroll_by_wheel_keys_and_slider(
    page: Page, server: Server, store: Store, task_id: str
) -> None:
    pane = look_at(page, server, task_id, "b/frames")
    note = pane.locator(".note.tr")
    expect(note).to_contain_text("Frame 2 of 4")
    expect(note).to_contain_text("the frame the model reads")
    pane.hover()
    page.mouse.wheel(0, 100)
    expect(note).to_contain_text("Frame 3 of 4")
    page.keyboard.press("End")
    expect(note).to_contain_text("Frame 4 of 4")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageUp")
    expect(note).to_contain_text("Frame 1 of 4")
    slider = page.get_by_role("slider", name="Frame")
    slider.press("ArrowRight")
    expect(note).to_contain_text("Frame 2 of 4")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("Frame 2 of 4"))
    scan = the_scan(store, task_id, "b/frames")
    page.keyboard.press("1")
    page.get_by_role("button", name="1:1").click()
    found = drawn(page, pane, scan.rows, scan.columns)
    np.testing.assert_array_equal(found[..., 0], render(scan, frame=1, window=(40, 400)))
    assert pane.locator("canvas").get_attribute("aria-label") == (
        f"CT scan of {scan.columns} by {scan.rows} pixels, 4 frames. Frame 2 of 4, the frame the model reads"
    )


def test_a_slice_is_marked_and_two_series_scroll_together(
    page: Page, server: Server, store: Store, task_id: str
) -> None:
    pane = look_at(page, server, task_id, "e/one")
    expect(pane.locator(".note.tr")).to_have_text(
        "Slice 5 of 9\nat 0.0 mm\nstands for the volume", use_inner_text=True
    )
    before = store.signature(task_id)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("m")
    expect(pane.locator(".note.tr")).to_have_text(
        "Slice 6 of 9\nat 5.0 mm\nmarked: carries the label", use_inner_text=True
    )
    (marked,) = [entry for entry in store.entries(task_id) if entry.marked]
    assert marked.tags["ImagePositionPatient"] == "-160\\-160\\5"
    page.keyboard.press("m")
    expect(pane.locator(".note.tr")).to_have_text("Slice 6 of 9\nat 5.0 mm", use_inner_text=True)
    assert store.signature(task_id) == before
    # Beside a series of half the step: the other one goes twice as many slices.
    second = next(scan for scan in volumes(store.entries(task_id)) if scan.label == "f")
    page.get_by_role("combobox", name="Beside it").click()
    page.get_by_role("option").filter(has_text=second.key.file).click()
    settle(page)
    page.evaluate("document.activeElement.blur()")
    notes = page.locator(".note.tr")
    expect(notes).to_have_count(2)
    expect(notes.nth(1)).to_contain_text("at 0.0 mm")
    here = re.search(r"at (\S+) mm", notes.nth(0).inner_text())
    assert here is not None
    page.locator(".pane").first.hover()
    page.mouse.wheel(0, 100)
    expect(notes.nth(0)).to_contain_text(f"at {float(here[1]) + 5:.1f} mm")
    expect(notes.nth(1)).to_contain_text("at 5.0 mm")
    page.get_by_role("button", name="Linked").click()
    page.mouse.wheel(0, 100)
    expect(notes.nth(1)).to_contain_text("at 5.0 mm")


def test_looking_changes_no_answer(store: Store, page: Page, server: Server, task_id: str) -> None:
    before = {entry.id: store.scan(entry) for entry in store.entries(task_id)}
    look_at(page, server, task_id, "a/ct")
    for key in ("2", "i", "+", "4"):
        page.keyboard.press(key)
    settle(page)
    for entry in store.entries(task_id):
        kept = store.scan(entry)
        assert (kept.window, kept.id) == (before[entry.id].window, before[entry.id].id)


def test_a_long_stack_is_fetched_as_it_is_looked_at(page: Page, server: Server, store: Store) -> None:
    task_id = store.create_task("Long")
    series = generate_uid()
    files = [(f"IM{n}", ct_slice(7, series=series, height=n, side=384)) for n in range(40)]
    store.add_uploads(task_id, files)
    open_page(page, server, "Scans", task=task_id)
    pane = page.locator(".pane").first
    note = pane.locator(".note.tr")
    expect(note).to_contain_text("Slice 20 of 40")
    page.evaluate("document.activeElement.blur()")
    for key, where in (("Home", "Slice 1 of 40"), ("End", "Slice 40 of 40"), ("PageUp", "Slice 30 of 40")):
        page.keyboard.press(key)
        expect(note).to_contain_text(where)
        expect(pane).not_to_have_class(re.compile("waiting"))
    page.get_by_role("button", name="1:1").click()
    scan = store.scan(volumes(store.entries(task_id))[0].entries[29])
    np.testing.assert_array_equal(drawn(page, pane, 384, 384)[..., 0], render(scan))
