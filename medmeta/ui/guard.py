"""First line of every page: the frame, the shared workspace, and which task and job the address names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from PIL import Image, ImageDraw

from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.ui.engine import Engine
from medmeta.ui.text import md
from medmeta.workspace.jobs import JobRunner
from medmeta.workspace.records import TaskInfo, WorkspaceError
from medmeta.workspace.store import Store, default_root

#: Pages in the order of the work: file, name, icon.
PAGES = (
    ("app.py", "Home", ":material/home:"),
    ("pages/1_Scans.py", "Scans", ":material/radiology:"),
    ("pages/2_Adapt.py", "Adapt", ":material/model_training:"),
    ("pages/3_Evaluate.py", "Evaluate", ":material/fact_check:"),
    ("pages/4_Predict.py", "Predict", ":material/stethoscope:"),
)
SCANS, ADAPT, EVALUATE, PREDICT = (page[0] for page in PAGES[1:])


@dataclass(frozen=True)
class Context:
    """What a page works with. ``task`` is None while no task exists or none is open."""

    store: Store
    jobs: JobRunner
    engine: Engine
    task: TaskInfo | None

    def link(
        self,
        page: str,
        label: str,
        *,
        icon: str | None = None,
        job: str | None = None,
        scan: int | None = None,
    ) -> None:
        """A link to another page that keeps the task in the address; ``scan`` is the entry that Scans opens."""
        opened = {} if scan is None else {"scan": str(scan)}
        st.page_link(page, label=label, icon=icon, query_params=self.address(job) | opened)

    def address(self, job: str | None = None) -> dict[str, str]:
        address = {"task": self.task.id} if self.task is not None else {}
        return address | ({"job": job} if job else {})


@st.cache_resource(show_spinner=False)
def _workspace(root: str) -> tuple[Store, JobRunner]:
    store = Store(Path(root))
    return store, JobRunner(store)


@st.cache_resource(show_spinner=False)
def _icon() -> Image.Image:
    """The browser tab's picture, drawn here: named icons and emoji would be fetched from the internet."""
    icon = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(icon)
    draw.rounded_rectangle((2, 2, 61, 61), 14, fill="#0b6e6e")
    draw.ellipse((14, 14, 49, 49), outline="white", width=5)
    draw.ellipse((26, 26, 37, 37), fill="white")
    return icon


@st.cache_resource(show_spinner=False)
def _engine() -> Engine:
    engine = Engine()
    engine.warm_up()
    return engine


def open_page(title: str, *, home: bool = False) -> Context:
    """Set the page up and say what it works with. Stops the page with advice when the workspace is unusable.

    Args:
        title: name of the page, in the browser's tab and as its heading.
        home: the page also works without a task, and opens none by itself.
    """
    st.set_page_config(
        page_title=f"{title} · MedMeta Workbench",
        page_icon=_icon(),
        layout="wide",
        menu_items={"About": f"**MedMeta Workbench**\n\n{RESEARCH_USE_ONLY} Nothing leaves this machine."},
    )
    try:
        store, jobs = _workspace(str(default_root()))
    except (WorkspaceError, OSError) as error:
        st.title("The workspace cannot be opened", anchor=False)
        known = isinstance(error, WorkspaceError)
        reason = md(error) if known else f"The folder cannot be read or written ({type(error).__name__})."
        st.error(
            f"{reason} Set MEDMETA_WORKSPACE to a folder of yours and start again.", icon=":material/error:"
        )
        st.stop()
    tasks = store.tasks()
    task = _current(tasks, home=home)
    context = Context(store, jobs, _engine(), task)
    _sidebar(context, tasks)
    return context


def choose(task_id: str | None) -> None:
    """Make a task the current one, here and after a refresh."""
    st.session_state["task"] = task_id
    if task_id is None:
        st.query_params.pop("task", None)
    else:
        st.query_params["task"] = task_id
    st.query_params.pop("job", None)


def _current(tasks: list[TaskInfo], *, home: bool) -> TaskInfo | None:
    """The task of the address, else of this session, else the last used one."""
    known = {task.id: task for task in tasks}
    for wanted in (st.query_params.get("task"), st.session_state.get("task")):
        if wanted in known:
            task: TaskInfo | None = known[str(wanted)]
            break
    else:
        task = None if home or not tasks else tasks[0]
    st.session_state["task"] = task.id if task else None
    if task is None:
        st.query_params.pop("task", None)
    elif st.query_params.get("task") != task.id:
        st.query_params["task"] = task.id
    return task


def _sidebar(context: Context, tasks: list[TaskInfo]) -> None:
    with st.sidebar:
        st.markdown("### :material/radiology: MedMeta Workbench", anchors=False)
        for page, name, icon in PAGES:
            context.link(page, name, icon=icon)
        if tasks:
            names = distinct_names(tasks)
            current = context.task.id if context.task else None
            ids = sorted(names, key=lambda key: (names[key].casefold(), key))
            picked = st.selectbox(
                "Task",
                ids,
                index=ids.index(current) if current else None,
                format_func=lambda key: names[key],
                placeholder="Choose a task",
                key=f"task-chooser-{current}",
            )
            if picked is not None and picked != current:
                choose(picked)
                st.rerun()
        st.divider()
        _device(context.engine)
        st.caption(f":material/lock: Nothing leaves this machine.\n\n:material/science: {RESEARCH_USE_ONLY}")


def distinct_names(tasks: Sequence[TaskInfo]) -> dict[str, str]:
    """Names by task id, numbered where several tasks share one: a select box tells options apart by their words."""
    names: dict[str, str] = {}
    for task in sorted(tasks, key=lambda task: task.created):
        name, number = task.name, 1
        while name in names.values():
            number += 1
            name = f"{task.name} ({number})"
        names[task.id] = name
    return names


def _device(engine: Engine) -> None:
    # As of this run of the page, and never refreshed by itself: a timed fragment that outlives a change of pages
    # draws into a sidebar that is not there yet, upon which Streamlit's page goes blank.
    if engine.device is None and engine.problem is None:
        st.caption(":material/hourglass_top: Getting the model ready…")
    elif engine.problem is not None:
        st.caption(f":material/error: Model not ready: {md(engine.problem)}")
    else:
        st.caption(f":material/memory: Computing on **{md(engine.device)}**")
