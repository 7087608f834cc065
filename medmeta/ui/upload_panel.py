"""Adding files: the drop zones, the running intake, and what was refused."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from medmeta.ui.checks_panel import checks_panel
from medmeta.ui.deid_panel import deid_panel
from medmeta.ui.guard import Context
from medmeta.ui.job_panel import ended_badly, live_job
from medmeta.ui.look_over import look_over, start_looking
from medmeta.ui.text import ago, count, md
from medmeta.ui.text_gate import text_gate
from medmeta.workspace.records import Entry, Role, TaskInfo
from medmeta.workspace.work import intake_work


def upload_panel(context: Context, task: TaskInfo, role: Role, *, hint: str) -> bool:
    """Drop zones for files, ZIPs and folders; reading begins by itself as a job that survives a refresh.

    Returns:
        whether files are being read right now.
    """
    latest = next(iter(context.jobs.jobs(task.id, "intake")), None)
    if latest is not None and latest.live:
        live_job(context, latest.id, "Reading the files", border=False)
        return True
    # Uploads live in memory: a new key after each intake lets go of them.
    turn = st.session_state.setdefault("upload-turn", 0)
    files_side, folder_side = st.columns(2)
    files = files_side.file_uploader(
        "Files or ZIPs",
        accept_multiple_files=True,
        key=f"files-{task.id}-{role}-{turn}",
        help="DICOM (with or without a file ending), NIfTI, PNG, JPEG, TIFF or BMP; several at once, or a ZIP of them.",
    )
    folder = folder_side.file_uploader(
        "A whole folder",
        accept_multiple_files="directory",
        key=f"folder-{task.id}-{role}-{turn}",
        help="With one folder a class inside, the name of each becomes the label; a folder below it is one patient.",
    )
    st.caption(hint)
    uploads = [(file.name, file) for file in (*(files or []), *(folder or []))]
    if uploads:
        work = intake_work(
            context.store,
            task.id,
            uploads,
            role,
            look=None if role == "predict" else lambda: start_looking(context, task.id),
        )
        asked = time.time()
        if context.jobs.submit("intake", task.id, work, {"role": role}).created < asked:
            st.error(
                "Files are being read into this task in another tab, so none of these "
                f"{count(len(uploads), 'file')} was taken. Add them again once that has ended.",
                icon=":material/error:",
            )
            return True
        st.session_state["upload-turn"] = turn + 1
        st.rerun()
    if latest is None or latest.params.get("role") != role:
        return False
    if latest.state == "done":
        st.caption(f":material/done: Last upload: {md(latest.message)} ({ago(latest.finished or 0)})")
    else:
        ended_badly(
            latest,
            doing="Reading the files",
            advice="Scans that had been read before are kept. Add the files once more to go on.",
        )
    return False


def notices_panel(
    context: Context, task: TaskInfo, role: Role, entries: Sequence[Entry], *, folded: bool = False
) -> None:
    """What a person must see about the scans: refused files and warnings until dismissed, text, checks.

    Args:
        entries: all of the task.
        folded: notices and checks stay folded, whatever they say, where a person works below them.
    """
    look_over(context, task, entries)
    _notices(context, task, role, folded=folded)
    text_gate(context, task, role, [entry for entry in entries if entry.role == role])
    if role != "predict":
        checks_panel(context, task, [entry for entry in entries if entry.role != "predict"], folded=folded)
        if task.support or task.query:
            deid_panel(context, task)


def _notices(context: Context, task: TaskInfo, role: Role, *, folded: bool) -> None:
    notices = context.store.notices(task.id, role)
    if not notices:
        return
    refused = [notice for notice in notices if notice.is_rejection]
    warnings = list(dict.fromkeys(notice.text for notice in notices if not notice.is_rejection))
    title = " and ".join(
        part
        for part in (
            f"{count(len(refused), 'file')} refused" if refused else "",
            count(len(warnings), "warning") if warnings else "",
        )
        if part
    )
    with st.expander(f":orange[:material/report:] {title}", expanded=not folded and len(notices) <= 12):
        for text in warnings:
            st.markdown(f":material/warning: {md(text)}")
        if len(refused) <= 8:
            for notice in refused:
                st.markdown(f"- **{md(notice.file)}** {md(notice.text)}")
        else:
            st.dataframe(
                pd.DataFrame(
                    {"File": [n.file for n in refused], "Why it was refused": [n.text for n in refused]}
                ),
                hide_index=True,
                column_config={
                    "File": st.column_config.TextColumn(width="medium"),
                    "Why it was refused": st.column_config.TextColumn(width="large"),
                },
            )
        if st.button("Dismiss", icon=":material/close:", key=f"dismiss-{role}"):
            context.store.dismiss(task.id, role)
            st.rerun()
