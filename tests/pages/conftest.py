"""The pages as Streamlit runs them, over a workspace in a fresh folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
import streamlit as st
from helpers import stripes
from page_helpers import HOSTILE
from streamlit.testing.v1 import AppTest

from medmeta.ui import guard
from medmeta.ui.engine import Engine
from medmeta.workspace.jobs import JobRunner
from medmeta.workspace.store import Store
from medmeta.workspace.work import adapt_work

ROOT = Path(__file__).resolve().parents[2]
Open = Callable[..., AppTest]


@pytest.fixture(scope="session")
def engine() -> Engine:
    made = Engine()
    made.extractor()
    return made


class Finished(NamedTuple):
    """A workspace with one task and its finished run; tests work on copies of it."""

    folder: Path
    task_id: str
    job_id: str


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Finished:
    folder = tmp_path_factory.mktemp("finished") / "workspace"
    store = Store(folder)
    task_id = _stripes(store)
    with closing(JobRunner(store)) as runner:
        job = runner.submit("adapt", task_id, adapt_work(store, task_id, engine.extractor))
        assert runner.wait(job.id, 120).state == "done"
    return Finished(folder, task_id, job.id)


@pytest.fixture
def workspace(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> Iterator[tuple[Store, JobRunner]]:
    """Store and runner the pages will find, with the model loaded; empty unless the test asks for `adapted`."""
    monkeypatch.setenv("MEDMETA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setattr(guard, "_engine", lambda: engine)
    if "adapted" in request.fixturenames:
        shutil.copytree(request.getfixturevalue("finished").folder, tmp_path / "workspace")
    store = Store(tmp_path / "workspace")
    runner = JobRunner(store)
    monkeypatch.setattr(guard, "_workspace", lambda root: (store, runner))
    yield store, runner
    runner.close()
    st.cache_data.clear()


@pytest.fixture
def store(workspace: tuple[Store, JobRunner]) -> Store:
    return workspace[0]


@pytest.fixture
def runner(workspace: tuple[Store, JobRunner]) -> JobRunner:
    return workspace[1]


@pytest.fixture
def open_page(workspace: tuple[Store, JobRunner]) -> Open:
    """Opens a page by its file name, with query parameters, and runs it."""

    def run(page: str, **params: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        if page != "app.py":
            app.switch_page(f"pages/{page}")
        for name, value in params.items():
            app.query_params[name] = value
        return app.run()

    return run


@pytest.fixture
def task_id(request: pytest.FixtureRequest, store: Store) -> str:
    """Eight labelled scans of two classes, one of them with a hostile name."""
    if "adapted" in request.fixturenames:
        found: Finished = request.getfixturevalue("finished")
        return found.task_id
    return _stripes(store)


@pytest.fixture
def adapted(finished: Finished) -> str:
    """A finished run of the task; the id of its job."""
    return finished.job_id


def _stripes(store: Store) -> str:
    task_id = store.create_task("Stripes")
    uploads = [(f"upright/{n}.png", stripes(n, upright=True)) for n in range(4)]
    uploads += [(f"level/{n}.png", stripes(50 + n, upright=False)) for n in range(4)]
    store.add_uploads(task_id, uploads)
    ids = [entry.id for entry in store.entries(task_id) if entry.label == "level"]
    store.set_label(task_id, ids, HOSTILE)
    return task_id
