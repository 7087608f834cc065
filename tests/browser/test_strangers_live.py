"""A scan that does not belong: the page names it by itself while the person works, and a button takes it out."""

from __future__ import annotations

from helpers import soft, stripes
from playwright.sync_api import Page, expect
from workbench import LONG, Server, create_task, settle, upload

from medmeta.workspace.store import Store


def test_a_stray_is_named_without_a_click_and_removed(page: Page, server: Server, store: Store) -> None:
    files = {f"{n}.png": soft(700 + n) for n in range(10)} | {"odd.png": stripes(700, upright=True)}
    task_id = create_task(page, server, "Strangers")
    try:
        assert "11 scans added" in upload(page, files=files)
        checks = page.get_by_text("Checks of all scans of this task")
        checks.wait_for(timeout=LONG)  # nothing has been pressed since
        settle(page)
        checks.click()
        named = page.get_by_text("odd.png looks like none of the other scans")
        named.wait_for()
        new_kind = page.get_by_text("These pictures are new to the model")
        expect(new_kind).to_be_visible()
        page.get_by_role("button", name="Remove 1").click()
        named.wait_for(state="detached")
        settle(page)
        expect(new_kind).to_be_visible()  # the panel stays open though its title counts one less
        assert "odd.png" not in {entry.file for entry in store.entries(task_id)}
    finally:
        store.delete_task(task_id)
