"""A folder of 300 DICOM files, labelled from the keyboard."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path

from playwright.sync_api import Page, expect
from volumes import ct_slice
from workbench import Server, choose, create_task, relabel_unlabelled, settle, upload

from medmeta.workspace.store import Store

#: Seconds from a key to the next scan on the screen, at the median; a person would not wait longer.
QUICK = 1.0


def test_three_hundred_files_are_labelled_from_the_keyboard(
    page: Page, server: Server, store: Store, tmp_path: Path
) -> None:
    files = {
        f"IM{n:04d}": ct_slice(n, series=f"1.2.826.{n + 1}", height=0, side=64, lesion=n % 3 == 0)
        for n in range(300)
    }
    task_id = create_task(page, server, "Three hundred")
    assert "300 scans added" in upload(page, folder=tmp_path / "scans", files=files)
    # The folder's name became a label; it is no class.
    page.get_by_role("button", name="Select all 300").click()
    page.get_by_text("300 selected").wait_for()
    settle(page)  # a page still being drawn closes what is opened on it
    page.get_by_test_id("stPopover").get_by_role("button", name="Label").click()
    page.get_by_role("button", name="Remove the label").click()
    page.get_by_text("300 scans of 300 patients, 300 without a label").wait_for()
    page.get_by_text("Label one by one").click()
    settle(page)
    for name in ("nodule", "clear"):
        page.get_by_role("textbox", name="New class").fill(name)
        page.get_by_role("button", name="Add class").click()
        page.locator(".labels .class").filter(has_text=name).wait_for()
    settle(page)
    buttons = page.locator(".labels .class")
    expect(buttons).to_have_count(2)
    key = {
        name: buttons.filter(has_text=name).get_attribute("aria-keyshortcuts") for name in ("nodule", "clear")
    }
    assert None not in key.values()
    page.evaluate("document.activeElement.blur()")
    title = page.locator(".pane .note.tl")

    def press(what: str, then: int) -> float:
        """Press a key and wait until the scan that must come is on the screen."""
        start = time.perf_counter()
        page.keyboard.press(what)
        expect(title).to_contain_text(f"IM{then:04d}")
        expect(page.locator(".pane").first).not_to_have_class(re.compile("waiting"))
        return time.perf_counter() - start

    expect(title).to_contain_text("IM0000")
    truth = {n: "nodule" if n % 3 == 0 else "clear" for n in range(300)}
    waits = [press(str(key[truth[n]]), n + 1) for n in range(30)]
    assert statistics.median(waits) < QUICK, waits
    expect(page.get_by_test_id("stProgress")).to_contain_text("30 of 300")
    # The viewer's own keys still are the viewer's: none of these labels anything.
    for own in ("2", "i", "+", "r", "0"):
        page.keyboard.press(own)
    # A wrong label, undone in both ways; a scan left for later; the way back.
    press(str(key["nodule"]), 31)
    press("u", 30)
    press(str(key["nodule"]), 31)
    press("Control+z", 30)
    press("n", 31)
    press(str(key["clear"]), 32)
    press("b", 31)
    expect(page.locator(".labels .class[aria-pressed=true]")).to_contain_text("clear")
    expect(page.get_by_test_id("stProgress")).to_contain_text("31 of 300")
    labels = {int(entry.file[-4:]): entry.label for entry in store.entries(task_id)}
    assert {n: label for n, label in labels.items() if label} == {n: truth[n] for n in range(32) if n != 30}
    # Only those of one class, then the rest together in the table.
    choose(page, "Filter", "nodule")
    expect(title).to_contain_text("IM0000")
    choose(page, "Filter", "All scans")
    page.get_by_text("Table", exact=True).click()
    page.get_by_text("300 scans of 300 patients, 269 without a label").wait_for()
    settle(page)
    relabel_unlabelled(page, "clear", 269)
    page.get_by_text("300 scans of 300 patients").wait_for()
    assert sum(entry.label == "clear" for entry in store.entries(task_id)) == 290
