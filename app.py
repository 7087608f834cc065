"""Home: what this is, the three steps, the sample task, a new task, recent tasks."""

from __future__ import annotations

import streamlit as st

from medmeta.tasks.synthetic import SAMPLE_DESCRIPTIONS, SAMPLE_NAME, sample_uploads
from medmeta.ui.guard import ADAPT, EVALUATE, SCANS, Context, choose, open_page
from medmeta.ui.look_over import start_looking
from medmeta.ui.text import ago, count, md
from medmeta.workspace.records import TaskInfo
from medmeta.workspace.work import intake_work

STEPS = (
    (
        ":material/upload_file:",
        "1. Add scans",
        "Five to ten patients of each class. Drop in DICOM files, a folder or a ZIP, and label them.",
    ),
    (
        ":material/model_training:",
        "2. Adapt",
        "One button. The model learns your classes from your scans, in seconds to minutes, on this computer.",
    ),
    (
        ":material/fact_check:",
        "3. Judge and use",
        "See how many patients it gets right and which it gets wrong. Then let it read new scans.",
    ),
)


def sample(context: Context) -> None:
    """Open the sample task, making it first where there is none."""
    ready = [task for task in context.store.tasks() if task.synthetic]
    if ready:
        task_id = ready[0].id
    else:
        task_id = context.store.create_task(SAMPLE_NAME, SAMPLE_DESCRIPTIONS, synthetic=True)
        work = intake_work(
            context.store,
            task_id,
            list(sample_uploads()),
            "support",
            look=lambda: start_looking(context, task_id),
        )
        context.jobs.submit("intake", task_id, work, {"role": "support"})
    choose(task_id)
    st.switch_page(SCANS, query_params={"task": task_id})


@st.dialog("New task")
def new_task(context: Context) -> None:
    """Ask for a name and go on to the scans."""
    with st.form("new-task", border=False):
        name = st.text_input(
            "What should be told apart?",
            placeholder="For example: bacterial or viral pneumonia",
            max_chars=80,
            help="A name for you. It can be changed later.",
        )
        if st.form_submit_button("Create and add scans", type="primary", icon=":material/arrow_forward:"):
            task_id = context.store.create_task(name)
            choose(task_id)
            st.switch_page(SCANS, query_params={"task": task_id})


def state_of(context: Context, task: TaskInfo) -> tuple[str, str, str]:
    """Where a task stands: badge, page to go on with, and the words on the link."""
    jobs = context.jobs.jobs(task.id, "adapt")
    latest = next(iter(jobs), None)
    if latest is not None and latest.live:
        return ":blue-badge[:material/progress_activity: adapting]", ADAPT, "See the progress"
    if any(job.state == "done" for job in jobs):
        return ":green-badge[:material/check: evaluated]", EVALUATE, "Open the result"
    if latest is not None and latest.state == "failed":
        return ":red-badge[:material/error: did not work]", ADAPT, "See what happened"
    if task.classes >= 2:
        return ":gray-badge[ready to adapt]", ADAPT, "Adapt"
    if task.support:
        return ":orange-badge[needs labels]", SCANS, "Label the scans"
    return ":gray-badge[no scans yet]", SCANS, "Add scans"


def card(context: Context, task: TaskInfo) -> None:
    """One recent task."""
    badge, page, action = state_of(context, task)
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{md(task.name)}**")
        sample_badge = " :gray-badge[:material/science: synthetic]" if task.synthetic else ""
        st.markdown(badge + sample_badge)
        st.caption(
            f"{count(task.support, 'scan')} of {count(task.patients, 'patient')} in "
            f"{count(task.classes, 'class', 'classes')}"
            + (f", {count(task.query, 'test scan')}" if task.query else "")
            + f" · used {ago(task.used)}"
        )
        with st.container(horizontal=True):
            st.page_link(page, label=action, icon=":material/arrow_forward:", query_params={"task": task.id})
            if page != SCANS:
                st.page_link(
                    SCANS, label="Scans", icon=":material/radiology:", query_params={"task": task.id}
                )


def main() -> None:
    context = open_page("Home", home=True)
    st.title("MedMeta Workbench", anchor=False)
    st.markdown(
        "Teach a pretrained model a new finding from a handful of labelled scans, and learn honestly how far to "
        "trust it. Everything stays on this machine."
    )
    for column, (icon, title, text) in zip(st.columns(3), STEPS, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"#### {icon} {title}", anchors=False)
            st.markdown(text)
    tasks = context.store.tasks()
    with st.container(horizontal=True):
        if st.button("New task", type="primary", icon=":material/add:"):
            new_task(context)
        if st.button(
            "Try the sample task",
            icon=":material/science:",
            help="Needs no files and no network.",
        ):
            sample(context)
    st.caption(
        ":material/science: The sample task is synthetic: the workbench draws its images itself. No patient is "
        "behind them, and its results say nothing about medicine."
    )
    st.subheader("Recent tasks", anchor=False)
    if not tasks:
        st.info(
            "No task yet. Start one with your own scans, or try the sample.", icon=":material/folder_open:"
        )
        return
    for start in range(0, min(len(tasks), 12), 3):
        for column, task in zip(st.columns(3), tasks[start : start + 3], strict=False):
            with column:
                card(context, task)
    if len(tasks) > 12:
        st.caption(f"{count(len(tasks) - 12, 'older task')}: choose them on the left.")


main()
