"""How quick is the Scans page with 1,000 scans? A real server, a real Chromium, and what a person does there.

python -m benchmarks.scans_page [--scans 1000] [--repeats 7] [--seed 0] [--workspace FOLDER]

The scans are those of `benchmarks.intake_throughput` (CT of 512 pixels a side, MR of 256, CR of 1760), four of each
patient, taken in as any upload is; half of them have no label. ``--workspace`` names a folder in which they are kept
for the next run. Each act is timed in the browser's own clock, from the click or key until the page's script has ended
and a frame has been drawn; beside it stands what the server sent meanwhile. Needs Chromium (``MEDMETA_CHROMIUM`` names
another one) and the packages of ``make test``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Locator, Page, Response, WebSocket, sync_playwright
from pydicom.uid import ExplicitVRLittleEndian

from benchmarks.intake_throughput import made, picture
from medmeta.scans.pixel_text import TextFinder
from medmeta.ui.label_keys import label_keys
from medmeta.workspace import pixel_text
from medmeta.workspace.store import Store

#: Seconds that an act may take: a rerun of the page, and a labelling key.
RERUN, KEY = 1.0, 0.3
NAME = "A thousand scans"
CLASSES = ("clear", "effusion", "nodule")
#: Seconds without a change after which a chain of reruns counts as over.
_QUIET = 0.35
_WATCH = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    window.states = [];
    new MutationObserver(() => window.states.push([performance.now(), app.dataset.testScriptState]))
        .observe(app, {attributes: true, attributeFilter: ['data-test-script-state']});
}"""
_ENDED = """(quiet) => {
    const last = window.states.at(-1);
    return last && last[1] === 'notRunning' && performance.now() - last[0] > 1000 * quiet
        && !document.querySelector('[data-testid="stSkeleton"]') ? last[0] : 0;
}"""
_LABELLED = """(name) => {
    const roots = [...document.querySelectorAll('*')].map(each => each.shadowRoot);
    const shown = roots.find(each => each?.querySelector('.pane'))?.querySelector('.pane');
    return shown && !shown.classList.contains('waiting') && shown.querySelector('.tl').textContent.startsWith(name)
        ? performance.now() : 0;
}"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workspace", type=Path)
    options = parser.parse_args()
    from benchmarks.machine import describe

    with tempfile.TemporaryDirectory() as name:
        workspace = options.workspace or Path(name)
        task_id = prepare(workspace, options.scans, options.seed)
        with served(workspace) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=_chromium(), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
            page.set_default_timeout(60_000)
            rows = measure(page, url, Store(workspace), task_id, options.repeats)
            browser.close()
    print(describe(options.seed))
    print(f"\n{options.scans} scans, {options.repeats} times each\n")
    print("| what | median | range | from the server |\n|---|---|---|---|")
    for what, seconds, sent in rows:
        spread = f"{min(seconds):.2f} to {max(seconds):.2f} s"
        print(f"| {what} | {np.median(seconds):.2f} s | {spread} | {np.median(sent) / 1024:.0f} KiB |")
    return 0


def prepare(workspace: Path, count: int, seed: int) -> str:
    """The id of a task with so many scans, made where the workspace has none."""
    store = Store(workspace)
    for task in store.tasks():
        if task.name == NAME and task.support == count:
            spare = [e.id for e in store.entries(task.id) if not _labelled(int(e.file[-4:]))]
            store.set_label(task.id, spare, None)
            return task.id
    task_id, random = store.create_task(NAME), np.random.default_rng(seed)
    for first in range(0, count, 50):
        uploads = []
        for number in range(first, min(count, first + 50)):
            side, modality = _kind(number)
            folder = f"{CLASSES[number % 3]}/" if _labelled(number) else ""
            data = made(picture(side, random), modality, f"patient {number // 4}", ExplicitVRLittleEndian)
            uploads.append((f"{folder}IM{number:04d}", data))
        store.add_uploads(task_id, uploads)
    start = time.perf_counter()
    pixel_text.search(store, task_id, TextFinder())
    print(f"looking for burned-in text: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return task_id


def _kind(number: int) -> tuple[int, str]:
    return {9: (1760, "CR"), 2: (256, "MR"), 5: (256, "MR"), 8: (256, "MR")}.get(number % 10, (512, "CT"))


def _labelled(number: int) -> bool:
    return number // 10 % 2 == 1


@contextmanager
def served(workspace: Path) -> Iterator[str]:
    """The workbench over a workspace, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = os.environ | {"MEDMETA_WORKSPACE": str(workspace), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://localhost:{port}"
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


class Timer:
    """Times what is done on a page, and counts the bytes that come from the server."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.bytes = 0
        self.rows: dict[str, tuple[list[float], list[float]]] = {}
        page.on("websocket", self._follow)
        page.on("response", self._response)

    def _follow(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: self._count(len(payload)))

    def _response(self, response: Response) -> None:
        if "/media/" in response.url:
            self._count(int(response.headers.get("content-length", 0)))

    def _count(self, size: int) -> None:
        self.bytes += size

    def act(self, what: str, do: Callable[[], object]) -> None:
        """Do something that makes the page's script run, and wait until nothing moves any more."""
        self._until(what, do, lambda: self.page.wait_for_function(_ENDED, arg=_QUIET, polling="raf"))

    def still(self, what: str, do: Callable[[], object]) -> None:
        """Do something for which no script runs; ``do`` waits for its end."""
        before, start = self.bytes, time.perf_counter()
        do()
        self.add(what, time.perf_counter() - start, self.bytes - before)

    def key(self, what: str, key: str, then: str) -> None:
        """Press a labelling key and wait for the scan of that name."""
        self._until(
            what,
            lambda: self.page.keyboard.press(key),
            lambda: self.page.wait_for_function(_LABELLED, arg=then, polling="raf"),
        )

    def add(self, what: str, seconds: float, sent: float = 0.0) -> None:
        for values, value in zip(self.rows.setdefault(what, ([], [])), (seconds, sent), strict=True):
            values.append(value)

    def _until(self, what: str, do: Callable[[], object], end: Callable[[], object]) -> None:
        before = self.bytes
        start = self.page.evaluate("() => { window.states = []; return performance.now(); }")
        do()
        ended = end().json_value()  # type: ignore[attr-defined]
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        self.add(what, (ended - start) / 1000, self.bytes - before)


def measure(
    page: Page, url: str, store: Store, task_id: str, repeats: int
) -> list[tuple[str, list[float], list[float]]]:
    """Drive the page as a person does; (what, seconds, bytes) of each act."""
    for _ in range(60):  # until the model is loaded, which then takes no time of what follows
        page.goto(url)
        page.get_by_text("Nothing leaves this machine").wait_for()
        page.wait_for_timeout(1000)
        if page.get_by_text("Computing on").count():
            break
    timer, count = Timer(page), len(store.entries(task_id))
    table = page.get_by_test_id("data-grid-canvas").filter(has=page.locator('th:text-is("Open")'))
    for _ in range(repeats):
        start = time.perf_counter()
        page.goto(f"{url}/Scans?task={task_id}")
        table.wait_for(state="attached")
        page.locator(".pane").first.wait_for()
        timer.add(
            "opening the page by its address, until table and scan are there", time.perf_counter() - start
        )
        page.evaluate(_WATCH)
        page.wait_for_timeout(1500)
    sidebar = page.get_by_test_id("stSidebar")
    for _ in range(repeats):
        timer.act("to the Adapt page", sidebar.get_by_role("link", name="Adapt").click)
        timer.act("back to the Scans page", sidebar.get_by_role("link", name="Scans").click)
        timer.act("the filter: without a label", lambda: choose(page, "Without a label"))
        timer.act("the filter: all scans", lambda: choose(page, "All scans"))
        timer.act("a search", lambda: search(page, "IM00"))
        timer.act("an empty search", lambda: search(page, ""))
        timer.act("the next 50 rows", page.get_by_role("button", name="Page 2", exact=True).click)
        timer.act("the first 50 rows", page.get_by_role("button", name="Page 1", exact=True).click)
        timer.act("another scan into the viewer", lambda: click_view(table, 3))
        timer.act("the first scan into the viewer", lambda: click_view(table, 0))
        timer.still("the checks, opened", lambda: fold(page, opened=True))
        fold(page, opened=False)
        timer.add("the longest frame while the table is scrolled", scrolled(page, table))
        timer.act(f"select all {count}", page.get_by_role("button", name=f"Select all {count}").click)
        page.get_by_test_id("stPopover").get_by_role("button", name="Label").click()
        page.get_by_role("combobox", name=f"Label for {count} scans").click()
        page.keyboard.type("nodule")
        timer.act("choosing the label", lambda: page.keyboard.press("Enter"))
        timer.act(f"a label for all {count}", page.get_by_role("button", name="Set label").click)
        timer.act("its undo", page.get_by_role("button", name="Undo", exact=True).click)
    timer.act("to labelling one by one", page.get_by_text("Label one by one").click)
    page.evaluate("document.activeElement.blur()")
    queue = [entry for entry in store.entries(task_id) if entry.label is None][: 5 * repeats]
    key = label_keys(CLASSES)["nodule"]
    for entry in queue[1:]:
        what = f"a labelling key, until the next scan is there ({entry.modality}, {entry.rows} pixels a side)"
        timer.key(what, str(key), entry.file)
        page.wait_for_timeout(300)
    for entry in queue[-2 : -2 - repeats : -1]:
        timer.key("undo by key", "u", entry.file)
        page.wait_for_timeout(300)
    return [(what, *values) for what, values in timer.rows.items()]


def choose(page: Page, option: str) -> None:
    page.get_by_role("combobox", name="Filter").click()
    page.get_by_role("option", name=option, exact=True).click()


def search(page: Page, text: str) -> None:
    box = page.get_by_role("textbox", name="Search")
    box.fill(text)
    box.press("Enter")


def fold(page: Page, *, opened: bool) -> None:
    """Open or close the panel of checks, where there is one."""
    panel = page.get_by_test_id("stExpander").filter(has_text="Checks of all scans")
    if panel.count():
        panel.locator("summary").click()
        panel.get_by_test_id("stExpanderDetails").wait_for(state="visible" if opened else "hidden")


def scrolled(page: Page, table: Locator) -> float:
    """Seconds of the longest frame while the wheel turns over the table, there and back."""
    table.hover(force=True)  # a sheet for scrolling lies over the canvas
    page.evaluate(
        """() => {
            window.frames = [];
            let last = performance.now();
            const next = (now) => {
                window.frames?.push(now - last);
                last = now;
                if (window.frames) requestAnimationFrame(next);
            };
            requestAnimationFrame(next);
        }"""
    )
    for step in [120] * 20 + [-120] * 20:
        page.mouse.wheel(0, step)
    page.wait_for_timeout(200)
    longest = page.evaluate(
        "() => { const all = window.frames; window.frames = null; return Math.max(...all.slice(1)); }"
    )
    return float(longest) / 1000


def click_view(table: Locator, row: int) -> None:
    """Click on View in a row; the table draws on a canvas, so the place decides."""
    place = table.bounding_box()
    assert place is not None
    table.page.mouse.click(place["x"] + 360, place["y"] + 38 + 56 * row + 28)


def _chromium() -> str:
    given = os.environ.get("MEDMETA_CHROMIUM")
    names = [given] if given else ["chromium", "chromium-browser", "google-chrome"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SystemExit("no Chromium found; set MEDMETA_CHROMIUM to its path")
    return found


if __name__ == "__main__":
    sys.exit(main())
