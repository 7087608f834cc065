"""Long work in a real browser: refreshed, seen from two windows, started twice, cancelled."""

from __future__ import annotations

import re

import pytest
from browser_scans import ct, mr
from playwright.sync_api import Page, expect
from workbench import (
    LONG,
    NewWindow,
    Server,
    class_counts,
    open_page,
    parameter,
    settle,
    start,
    wait_for_parameter,
)

from medmeta.workspace.store import Store

WORKING = "Adapting and testing"


def elapsed(page: Page) -> float:
    """Seconds the panel of the running job shows."""
    text = page.get_by_text(re.compile(rf"{WORKING} · ")).inner_text()
    found = re.search(r"· (?:(\d+) min )?([\d.]+) s", text)
    assert found, text
    return 60 * int(found[1] or 0) + float(found[2])


@pytest.fixture(scope="module")
def many(store: Store) -> str:
    """A task whose adaptation takes long enough to act while it runs, also on a quick machine."""
    task_id = store.create_task("Many scans")
    store.add_uploads(
        task_id,
        [(f"one/{n}", ct(200 + n)) for n in range(20)] + [(f"two/{n}", mr(200 + n)) for n in range(20)],
    )
    return task_id


def test_the_sample_task_needs_no_file_and_no_network(page: Page, server: Server) -> None:
    open_page(page, server, "")
    page.get_by_text("The sample task is synthetic").wait_for()
    page.get_by_role("button", name="Try the sample task").click()
    page.get_by_text("24 scans of 18 patients").wait_for(timeout=LONG)
    assert set(class_counts(page).values()) == {(8, 6)}
    page.get_by_text("synthetic sample, no real patient").wait_for()
    page.get_by_role("link", name="Next: adapt").click()
    expect(page.get_by_role("button", name="Adapt", exact=True)).to_be_enabled(timeout=30_000)


def test_pressing_twice_starts_once_and_cancel_stops_it(
    page: Page, new_window: NewWindow, server: Server, many: str
) -> None:
    # Comes before the test that lets the job end: what it has computed by then is remembered.
    second = new_window()
    for window in (page, second):
        open_page(window, server, "Adapt", task=many)
        expect(window.get_by_role("button", name="Adapt", exact=True)).to_be_enabled()
    for window in (page, second):
        window.get_by_role("button", name="Adapt", exact=True).click(no_wait_after=True)
    for window in (page, second):
        window.get_by_text(WORKING).wait_for()
    (job_id,) = server.jobs(many)
    assert wait_for_parameter(page, "job") == wait_for_parameter(second, "job") == job_id

    second.get_by_role("button", name="Cancel").click()
    for window in (page, second):
        window.get_by_text("Adapting was cancelled.").wait_for(timeout=LONG)
        expect(window.get_by_text(WORKING)).to_have_count(0)
    assert server.jobs(many) == {job_id: "cancelled"}
    assert not list((server.workspace / "runs").glob(f"{job_id}*")), "a cancelled job leaves nothing behind"

    settle(page)
    again = start(page)
    assert again != job_id
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Adapting was cancelled.").wait_for(timeout=LONG)
    assert server.jobs(many) == {job_id: "cancelled", again: "cancelled"}


def test_a_job_is_found_again_after_a_refresh_and_in_another_window(
    page: Page, new_window: NewWindow, server: Server, many: str
) -> None:
    open_page(page, server, "Adapt", task=many)
    earlier = server.jobs(many)
    job_id = start(page)
    assert job_id not in earlier
    before = elapsed(page)

    page.reload()
    page.get_by_text(WORKING).wait_for()
    assert parameter(page, "job") == job_id
    assert elapsed(page) >= before, "the refreshed page shows another job"
    second = new_window()
    second.goto(page.url)
    second.get_by_text("Adapted and tested in").or_(second.get_by_text(WORKING)).wait_for()

    for window in (page, second):
        window.get_by_text("Adapted and tested in").wait_for(timeout=LONG)
        window.get_by_role("heading", name=re.compile(r"^\d+ of 40 patients right$")).wait_for()
        assert parameter(window, "job") == job_id
    assert server.jobs(many) == {**earlier, job_id: "done"}
