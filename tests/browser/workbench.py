"""What a person does in the workbench, one function an act; each waits until the page shows that it is done."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from browser_scans import CANARY, write, zipped
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, TimeoutError, expect

#: Milliseconds a background job may take where all of CI runs on two slow cores.
LONG = 180_000
#: Streamlit's browser side tries its own health address below the page's first; its answer is always "not found".
_PROBE = re.compile(r"/_stcore/(host-config|health)$")
_HERE = {"localhost", "127.0.0.1"}

#: Opens a window; takes what Playwright's ``new_context`` takes.
NewWindow = Callable[..., Page]


@dataclass(frozen=True)
class Server:
    url: str
    workspace: Path
    log: Path

    def jobs(self, task_id: str, kind: str = "adapt") -> dict[str, str]:
        """State of every job of a task by id, read from the database itself."""
        with closing(sqlite3.connect(self.workspace / "workspace.sqlite", timeout=30)) as database:
            rows = database.execute(
                "SELECT id, state FROM job WHERE task_id = ? AND kind = ?", (task_id, kind)
            )
            return dict(rows.fetchall())


def assert_no_trace(server: Server) -> None:
    """No identifying string in any file of the workspace, its name or the log, and no word of a crash there."""
    files = [path for path in server.workspace.rglob("*") if path.is_file()]
    found = [path.name for path in files if CANARY.encode() in path.read_bytes() or CANARY in path.name]
    assert not found, f"files of the workspace: {found}"
    log = server.log.read_text(encoding="utf-8", errors="replace")
    assert CANARY not in log
    assert "Traceback" not in log, log[-4000:]


@dataclass(frozen=True)
class Adapted:
    """A finished run: its task, job and what it wrote to ``evaluation.json``."""

    task_id: str
    job_id: str
    evaluation: dict[str, Any]

    @property
    def headline(self) -> str:
        patients = self.evaluation["patients"]
        return f"{patients['correct']} of {patients['n']} patients right"

    def cell(self, true: int, predicted: int) -> set[str]:
        """Files of the cases in one cell of the matrix."""
        classes = self.evaluation["classes"]
        return {
            case["file"]
            for case in self.evaluation["per_case"]
            if (case["label"], case["predicted"]) == (classes[true], classes[predicted])
        }


@dataclass
class Watch:
    """Requests to other machines, errors of scripts and complaints in the console, of every page followed."""

    faults: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("request", self._request)
        page.on("websocket", lambda socket: self._address(socket.url))
        page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        page.on("console", self._console)

    def check(self) -> None:
        """Raise when there is anything to complain of, once."""
        faults, self.faults = self.faults, []
        assert not faults, "\n".join(faults)

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "file", "about") and parts.hostname not in _HERE:
            self.faults.append(f"request to another machine: {url[:200]}")

    def _console(self, message: ConsoleMessage) -> None:
        source = urlsplit(message.location.get("url", "")).path
        if message.type == "error" and not _PROBE.search(source):
            self.faults.append(f"console: {message.text[:400]} ({source})")


def parameter(page: Page, name: str) -> str | None:
    """A query parameter of the page's address."""
    return parse_qs(urlsplit(page.url).query).get(name, [None])[0]


def wait_for_parameter(page: Page, name: str) -> str:
    page.wait_for_url(re.compile(rf"[?&]{name}=[^&]+"))
    value = parameter(page, name)
    assert value
    return value


def open_page(page: Page, server: Server, name: str, **parameters: str) -> None:
    """Go to a page by its address and wait until it has been drawn to its end."""
    query = "&".join(f"{key}={value}" for key, value in parameters.items())
    page.goto(f"{server.url}/{name}?{query}")
    page.get_by_role("heading", name=name or "MedMeta Workbench", exact=True, level=1).wait_for()
    settle(page)


def settle(page: Page) -> None:
    """Wait until the running script has ended and everything it sent is drawn.

    The state is read twice: a click's rerun begins a moment after the click.
    """
    for _ in range(2):
        page.wait_for_function(
            """() => {
                const app = document.querySelector('[data-testid="stApp"]');
                return app && app.dataset.testScriptState === 'notRunning'
                    && !document.querySelector('[data-testid="stSkeleton"]');
            }"""
        )
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def create_task(page: Page, server: Server, name: str) -> str:
    """From Home to the empty Scans page of a new task; returns the task's id."""
    open_page(page, server, "")
    page.get_by_role("button", name="New task").click()
    page.get_by_role("textbox", name="What should be told apart?").fill(name)
    page.get_by_role("button", name="Create and add scans").click()
    page.get_by_role("heading", name="Scans", exact=True, level=1).wait_for()
    page.get_by_text("No scans yet").wait_for()
    return wait_for_parameter(page, "task")


def upload(
    page: Page,
    *,
    files: Mapping[str, bytes],
    folder: Path | None = None,
    archive: Mapping[str, bytes] | None = None,
) -> str:
    """Drop files in: as a folder, or as single files, with a ZIP of more; returns the page's summary line."""
    before = page.get_by_text("Last upload:").all_inner_texts()
    uploader = page.get_by_test_id("stFileUploader").filter(
        has_text="A whole folder" if folder is not None else "Files or ZIPs"
    )
    chooser = uploader.locator("input[type=file]")
    if folder is not None:
        chooser.set_input_files(write(folder, files))
    else:
        loose = {**files, **({"more.zip": zipped(archive)} if archive else {})}
        chooser.set_input_files(
            [{"name": n, "mimeType": "application/octet-stream", "buffer": data} for n, data in loose.items()]
        )
    summary = page.get_by_text("Last upload:")
    if before:
        expect(summary).not_to_have_text(before[0], timeout=LONG)
    summary.wait_for(timeout=LONG)
    settle(page)
    return summary.inner_text()


def grid(page: Page, column: str) -> list[list[str]]:
    """Rows of the table that has this column; Streamlit draws on a canvas and keeps the cells inside it as text."""
    table = page.get_by_test_id("data-grid-canvas").filter(
        has=page.locator(f'th:text-is("{column}")', has_text=column)
    )
    table.first.wait_for(state="attached")
    rows: list[list[str]] = table.first.evaluate(
        "canvas => [...canvas.querySelectorAll('tbody tr')].map(r => [...r.querySelectorAll('td')]"
        ".map(cell => cell.textContent))"
    )
    return rows


def class_counts(page: Page) -> dict[str, tuple[int, int]]:
    """Scans and patients of each class, as the Scans page shows them."""
    settle(page)
    return {row[0]: (int(row[1]), int(row[2])) for row in grid(page, "Description")}


def relabel(page: Page, label: str, count: int) -> None:
    """Select every scan shown and give all one label, an existing one or a new one."""
    page.get_by_role("button", name=f"Select all {count}").click()
    page.get_by_text(f"{count} selected").wait_for()
    settle(page)  # a popover that opens while the page is still redrawn closes again
    page.get_by_test_id("stPopover").get_by_role("button", name="Label").click()
    box = page.get_by_role("combobox", name=f"Label for {count} scan")
    box.click()
    box.press_sequentially(label)
    box.press("Enter")
    page.get_by_role("button", name="Set label").click()
    page.get_by_text("Select scans to label them together").wait_for()
    settle(page)


def choose(page: Page, name: str, option: str) -> None:
    """Take an option of a select box."""
    box, wanted = page.get_by_role("combobox", name=name), page.get_by_role("option", name=option, exact=True)
    for _ in range(3):  # pictures that come in above move the box, which closes its list
        box.click()
        try:
            wanted.wait_for(timeout=4000)
            break
        except TimeoutError:
            continue
    wanted.click()
    settle(page)


def relabel_unlabelled(page: Page, label: str, count: int) -> None:
    choose(page, "Filter", "Without a label")
    relabel(page, label, count)
    choose(page, "Filter", "All scans")


def start(page: Page, button: str = "Adapt") -> str:
    """Press the button; returns the id of the job the page follows."""
    page.get_by_role("button", name=button, exact=True).click()
    page.get_by_text("Adapting and testing").wait_for()
    return wait_for_parameter(page, "job")


def adapt(page: Page, server: Server) -> Adapted:
    """One button, then watch the progress until the result is there."""
    job_id = start(page)
    task_id = wait_for_parameter(page, "task")
    bar = page.get_by_test_id("stProgress")
    bar.wait_for()
    first = bar.inner_text()
    expect(bar).not_to_have_text(first, timeout=LONG)  # live: it says something new
    page.get_by_text("Adapted and tested in").wait_for(timeout=LONG)
    path = server.workspace / "runs" / job_id / "evaluation.json"
    made = Adapted(task_id, job_id, json.loads(path.read_text(encoding="utf-8")))
    page.get_by_role("heading", name=made.headline).wait_for()
    return made


def click_cell(page: Page, evaluation: Mapping[str, Any], true: int, predicted: int) -> None:
    """Click into the middle of a cell of the matrix, with the mouse, as a person does."""
    classes = evaluation["classes"]
    points = (
        page.get_by_test_id("stPlotlyChart").filter(has_text="True label").locator(".scatterlayer .point")
    )
    # Plots come in after the page's last heading, on a slow machine by ten seconds.
    expect(points).to_have_count(len(classes) ** 2, timeout=60_000)
    settle(page)
    click_mark(page, points.nth(true * len(classes) + predicted))


def click_mark(page: Page, mark: Locator, says: Locator | None = None) -> None:
    """Bring the mouse onto a mark of a plot and press once neither moves, as a person does.

    What is drawn above a plot pushes it down, and plotly asks at most every so often what is under the mouse.

    Args:
        says: what the plot shows once it knows that the mouse is on the mark; before, a press is lost.
    """
    mark.scroll_into_view_if_needed()
    place = None
    for _ in range(20):
        box = mark.bounding_box()
        assert box is not None
        if box == place:
            if says is not None:
                says.wait_for()
            page.mouse.down()
            page.mouse.up()
            return
        place = box
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        page.wait_for_timeout(300)
    raise AssertionError("the plot does not come to rest")


def listed_cases(page: Page, place: str) -> set[str]:
    """Files of the case cards in a container of the page, named by its key."""
    texts = (
        page.locator(f".st-key-{place}").get_by_text(re.compile(r"^Label: .* · patient ")).all_inner_texts()
    )
    return {text.rpartition(" · ")[2] for text in texts}


def downloaded(page: Page, button: str) -> bytes:
    """Press a download button; returns the file's bytes.

    A file that is made when asked for belongs to one run of the page: pressed in the middle of the next, it is gone.
    """
    settle(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return waiting.value.path().read_bytes()
