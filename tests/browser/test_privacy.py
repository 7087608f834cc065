"""No identifying string on any page of a task with a finished run, nor in what is kept of it."""

from __future__ import annotations

from browser_scans import CANARY
from playwright.sync_api import Page
from workbench import Adapted, Server, assert_no_trace, open_page

from medmeta.workspace.store import Store


def test_no_identifying_string_is_shown_kept_or_logged(
    adapted: Adapted, page: Page, server: Server, store: Store
) -> None:
    tasks = [task.id for task in store.tasks()]
    assert adapted.task_id in tasks
    for name in ("", "Scans", "Adapt", "Evaluate", "Predict"):
        open_page(page, server, name, task=adapted.task_id)
        assert CANARY not in page.content(), f"the page {name or 'Home'}"
    files = [path for path in server.workspace.rglob("*") if path.is_file()]
    assert len(files) > 3 * 17, "the scans that were uploaded are kept here"
    assert_no_trace(server)
