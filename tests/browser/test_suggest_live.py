"""The shipped model says which scan to label next, and the page brings it."""

from __future__ import annotations

import re

from browser_scans import ct, mr, nuclear
from playwright.sync_api import Page, expect
from workbench import LONG, Adapted, Server, open_page, settle

from medmeta.workspace.reading import load_readings
from medmeta.workspace.store import Store
from medmeta.workspace.suggest import suggestions
from medmeta.workspace.volumes import volumes


def test_the_scan_of_most_doubt_comes_first(
    adapted: Adapted, page: Page, server: Server, store: Store
) -> None:
    task_id = adapted.task_id
    files = {"ask/ct": ct(190), "ask/mr": mr(190), "ask/nm": nuclear(190)}
    store.add_uploads(task_id, list(files.items()))
    added = [entry.id for entry in store.entries(task_id) if entry.file in files]
    store.set_label(task_id, added, None)
    try:
        open_page(page, server, "Scans", task=task_id)
        page.get_by_text("Label one by one").click()
        page.get_by_role("button", name="Suggest which of 3 scans to label next").click()
        page.get_by_text("3 scans in the order of the model's doubt").wait_for(timeout=LONG)
        settle(page)
        (job,) = server.jobs(task_id, "rank")
        made = suggestions(volumes(store.entries(task_id)), load_readings(server.workspace / "runs" / job))
        title = page.locator(".pane .note.tl")
        key = page.locator(".labels .class").first.get_attribute("aria-keyshortcuts")
        page.evaluate("document.activeElement.blur()")
        for each in made:
            expect(title).to_contain_text(each.volume.key.file.rpartition("/")[2])
            why = page.get_by_text("Suggested next:")
            expect(why).to_contain_text(re.compile(re.escape(each.first[0])))
            page.keyboard.press(str(key))
        expect(page.get_by_text("Suggested next:")).to_have_count(0)
    finally:
        store.remove(task_id, added)
