"""A real Chromium and a real workbench for it; what any page asks of other machines or complains of is a failure."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_scans import CANARY, ct, mr, nuclear
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from workbench import (
    Adapted,
    NewWindow,
    Server,
    Watch,
    adapt,
    assert_no_trace,
    class_counts,
    create_task,
    relabel_unlabelled,
    upload,
)

from medmeta.workspace.store import Store

ROOT = Path(__file__).resolve().parents[2]
#: The first of them is Chromium without the window no test looks at; it needs a sixth less of the processor.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Photograph every open page when a test fails: into MEDMETA_SCREENSHOTS, else the test's own folder."""
    report = yield
    if report.failed and PAGES in item.config.stash:
        folder = Path(os.environ.get("MEDMETA_SCREENSHOTS") or item.config.stash[SHOTS])
        folder.mkdir(parents=True, exist_ok=True)
        for number, page in enumerate(item.config.stash[PAGES]):
            if not page.is_closed():
                path = folder / f"{item.name}-{report.when}-{number}.png"
                page.screenshot(path=path)
                report.sections.append(("screenshot", f"{page.url}: {path}"))
    return report


SHOTS = pytest.StashKey[Path]()
PAGES = pytest.StashKey[list[Page]]()


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The system's Chromium, headless; `MEDMETA_CHROMIUM` names another one."""
    given = os.environ.get("MEDMETA_CHROMIUM")
    found = shutil.which(given) if given else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = (
            f"no Chromium found ({given or ', '.join(NAMES)}): install it (Debian: apt install chromium) or set "
            "MEDMETA_CHROMIUM to its path"
        )
        if os.environ.get("MEDMETA_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    pytestconfig.stash[SHOTS] = tmp_path_factory.mktemp("screenshots")
    pytestconfig.stash[PAGES] = []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The workbench as ``make run`` starts it, on a free port and a workspace of its own."""
    folder = tmp_path_factory.mktemp("workbench")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    made = Server(f"http://localhost:{port}", folder / "workspace", folder / "server.log")
    # The CPU, and one thread: a page must answer while a job computes, on a small machine too.
    environment = os.environ | {
        "MEDMETA_WORKSPACE": str(made.workspace),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with made.log.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_healthy(made, process)
        yield made
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert_no_trace(made)


def _wait_until_healthy(server: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2) as answer:
                if answer.read() == b"ok":
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the workbench did not start:\n{server.log.read_text(errors='replace')[-4000:]}")


@pytest.fixture(scope="session")
def store(server: Server) -> Store:
    """The same workspace from another process, to prepare tasks and to look behind the pages."""
    return Store(server.workspace)


@pytest.fixture(scope="session")
def watch() -> Iterator[Watch]:
    """What went wrong or out in any window of this session, looked at after each test and at the end."""
    made = Watch()
    yield made
    made.check()


@pytest.fixture(scope="session")
def open_window(browser: Browser, server: Server, watch: Watch, pytestconfig: pytest.Config) -> NewWindow:
    """Opens a window with a session of its own (cookies, socket), watched."""

    def make(**options: Any) -> Page:
        context: BrowserContext = browser.new_context(
            **{"viewport": {"width": 1440, "height": 1000}, "accept_downloads": True} | options
        )
        context.set_default_timeout(60_000)
        page = context.new_page()
        watch.follow(page)
        pytestconfig.stash[PAGES].append(page)
        return page

    return make


@pytest.fixture
def new_window(open_window: NewWindow, watch: Watch) -> Iterator[NewWindow]:
    """Windows of one test: at its end what they show is read for names, and they are closed."""
    opened: list[Page] = []

    def make(**options: Any) -> Page:
        opened.append(open_window(**options))
        return opened[-1]

    yield make
    shown = [page.content() for page in opened if not page.is_closed()]
    for page in opened:
        page.context.close()
    assert not any(CANARY in html for html in shown), "a page shows an identifying string"
    watch.check()


@pytest.fixture
def page(new_window: NewWindow) -> Page:
    return new_window()


@pytest.fixture(scope="session")
def adapted(
    open_window: NewWindow, server: Server, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Adapted:
    """The whole path up to the result, by hand in the browser: scans of three classes, the third labelled there."""
    folder = tmp_path_factory.mktemp("folders")
    files = {f"CT chest/IM{n:04d}": ct(n) for n in range(5)}
    files |= {"CT chest/IM0005": ct(4, part=1)}  # a second slice of the last patient
    files |= {f"MR head/IM{n:04d}": mr(n) for n in range(4)}
    files |= {"MR head/IM0009": ct(40)}  # a wrong label, which the figures must show
    loose = {f"IM{n:04d}": nuclear(n) for n in range(5)}  # no folder, so no label
    page = open_window()
    task_id = create_task(page, server, "What was scanned")
    upload(page, folder=folder, files=files)
    assert class_counts(page) == {"CT chest": (6, 5), "MR head": (5, 5)}
    upload(page, files=loose, archive={"MR head/IM0004": mr(4)})
    assert class_counts(page) == {"CT chest": (6, 5), "MR head": (6, 6)}
    page.get_by_text("17 scans of 16 patients, 5 without a label").wait_for()
    relabel_unlabelled(page, "NM bone", 5)
    assert class_counts(page) == {"CT chest": (6, 5), "MR head": (6, 6), "NM bone": (5, 5)}
    page.get_by_role("link", name="Next: adapt").click()
    made = adapt(page, server)
    assert made.task_id == task_id
    assert CANARY not in page.content()
    page.context.close()
    return made
