"""The Scans page in a real browser: refused files, labels and undo, both themes."""

from __future__ import annotations

import re

import pytest
from browser_scans import broken, ct, ct_volume, mr
from helpers import stripes
from playwright.sync_api import Page, expect
from workbench import (
    NewWindow,
    Server,
    class_counts,
    create_task,
    open_page,
    relabel,
    settle,
    upload,
)

from medmeta.workspace.store import Store


def test_broken_files_are_named_with_a_reason_and_good_ones_kept(
    page: Page, server: Server, store: Store
) -> None:
    task_id = create_task(page, server, "With broken files")
    summary = upload(page, files={"good-1": ct(300), "good-2": mr(300), **broken()})
    assert "2 scans added" in summary
    page.get_by_text("2 files refused").wait_for()
    items = page.get_by_role("listitem")
    expect(items.filter(has_text="half.dcm")).to_contain_text("cut short")
    expect(items.filter(has_text="letter.dcm")).to_contain_text("text file")
    expect(items).to_have_count(2)
    page.get_by_text("2 scans of 2 patients, 2 without a label").wait_for()
    assert {entry.file for entry in store.entries(task_id)} == {"good-1", "good-2"}
    # Readable until a person has taken note.
    page.reload()
    page.get_by_text("2 files refused").wait_for()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("2 files refused")).to_have_count(0)


@pytest.fixture(scope="module")
def labelled(store: Store) -> str:
    """Three CTs, one of them with several frames, and two MRs."""
    task_id = store.create_task("To look at")
    store.add_uploads(
        task_id,
        [
            ("chest/volume", ct_volume()),
            ("chest/one", ct(400)),
            ("chest/two", ct(401)),
            ("head/one", mr(400)),
            ("head/two", mr(401)),
        ],
    )
    return task_id


def test_labels_in_bulk_are_undone_and_redone(page: Page, server: Server, labelled: str) -> None:
    open_page(page, server, "Scans", task=labelled)
    before = {"chest": (3, 3), "head": (2, 2)}
    assert class_counts(page) == before
    relabel(page, "something else", 5)
    after = {"something else": (5, 5)}
    assert class_counts(page) == after
    page.get_by_role("button", name="Undo", exact=True).click()
    settle(page)
    page.wait_for_function("() => document.querySelector('canvas tbody td')?.textContent === 'chest'")
    assert class_counts(page) == before
    page.get_by_role("button", name="Redo", exact=True).click()
    page.wait_for_function(
        "() => document.querySelector('canvas tbody td')?.textContent === 'something else'"
    )
    assert class_counts(page) == after
    page.get_by_role("button", name="Undo", exact=True).click()
    page.wait_for_function("() => document.querySelector('canvas tbody td')?.textContent === 'chest'")
    # Kept, not only shown.
    page.reload()
    page.get_by_text("5 scans of 5 patients").wait_for()
    assert class_counts(page) == before


def test_pages_of_the_table_come_back_after_a_search(page: Page, server: Server, store: Store) -> None:
    task_id = store.create_task("Three pages")
    store.add_uploads(task_id, [(f"a/{n:03d}.png", stripes(n, upright=True)) for n in range(120)])
    open_page(page, server, "Scans", task=task_id)
    pages = page.get_by_role("button", name=re.compile(r"^Page \d+$"))
    expect(pages).to_have_count(3)
    page.get_by_role("button", name="Page 3", exact=True).click()
    settle(page)
    page.get_by_text("120 scans, 50 on a page").wait_for()
    search = page.get_by_role("textbox", name="Search")
    for words, pressed in (("a/00", "Select all 10"), ("a/0", "Select all 100"), ("", "Select all 120")):
        search.fill(words)
        search.press("Enter")
        page.get_by_role("button", name=pressed, exact=True).wait_for()
        settle(page)
    expect(pages).to_have_count(3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_drawn_in_light_and_dark(
    scheme: str, new_window: NewWindow, server: Server, labelled: str
) -> None:
    page = new_window(color_scheme=scheme)
    for name in ("", "Scans", "Adapt", "Evaluate", "Predict"):
        open_page(page, server, name, task=labelled)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_text("Research use only", exact=False).first).to_be_visible()
        ground = page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
        red, green, blue = map(int, re.findall(r"\d+", ground)[:3])
        assert (red + green + blue > 384) == (scheme == "light")
