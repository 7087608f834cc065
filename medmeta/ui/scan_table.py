"""The table of scans: thumbnails, labels and patients to edit in place or in bulk, one page of rows at a time."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pandas as pd
import streamlit as st

from medmeta.errors import MedMetaError
from medmeta.ui.guard import Context
from medmeta.ui.text import count, md
from medmeta.workspace.records import Entry, Role, TaskInfo
from medmeta.workspace.store import Store
from medmeta.workspace.volumes import Volume

ROWS_A_PAGE = 50

_ALL, _UNLABELLED, _UNKNOWN, _WARNED = "all", "unlabelled", "patient unknown", "with a warning"
_FILTERS = {
    _ALL: "All scans",
    _UNLABELLED: "Without a label",
    _UNKNOWN: "Patient unknown",
    _WARNED: "With a warning",
}
_SOURCES = {
    "PatientID": "from the file",
    "StudyInstanceUID": "by study only",
    "labels.csv": "from labels.csv",
    "folder": "by folder",
    "person": "entered here",
    "file": "unknown",
}


def data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def thumbnail_uri(context: Context, entry: Entry) -> str | None:
    """The thumbnail for a table cell; None (an empty cell) when the stored pixels are gone."""
    try:
        return _uri(context.store, _Wanted(entry.id, entry.scan_id, entry))
    except MedMetaError:
        return None


@dataclass(frozen=True)
class _Wanted:
    """A thumbnail: of which row, of which pixels."""

    id: int
    scan_id: str
    entry: Entry = field(compare=False)


@lru_cache(maxsize=2048)
def _uri(store: Store, wanted: _Wanted) -> str:
    """Row and pixels decide it for good, and a page of rows is drawn at every click."""
    return data_uri(store.thumbnail(wanted.entry))


def scan_table(context: Context, task: TaskInfo, scans: Sequence[Volume], role: Role) -> Volume | None:
    """Show the scans of one role, a row a file or series, with all that can be changed about them.

    Returns:
        the scan to open in the viewer, None when there is none to show.
    """
    labels = class_names(scans)
    shown = filtered(scans, labels)
    pages = _pages(shown)
    page_key = _page_key(task.id, role, pages)
    page = min(int(st.session_state.get(page_key, 1)), pages)
    rows = shown[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]
    ticked = _ticked(task)
    key = f"table-{task.id}-{role}-{page}-{st.session_state.setdefault('table-turn', 0)}"
    _collect_ticks(key, rows, ticked)
    _toolbar(context, task, [scan for scan in shown if scan.id in ticked], shown, labels, role)
    if not rows:
        st.info("No scan matches the filter.", icon=":material/filter_alt:")
        return None
    table = pd.DataFrame(
        {
            "tick": [scan.id in st.session_state.get("table-base", set()) for scan in rows],
            "image": [thumbnail_uri(context, scan.key) for scan in rows],
            "open": [":material/visibility: View"] * len(rows),
            "label": [scan.label for scan in rows],
            "patient": [scan.key.group for scan in rows],
            "modality": [scan.key.modality or "–" for scan in rows],
            "slices": [_slices(scan) for scan in rows],
            "size": [f"{scan.key.columns} × {scan.key.rows}" for scan in rows],
            "file": [scan.key.file for scan in rows],
            "source": [_SOURCES.get(scan.key.group_source, scan.key.group_source) for scan in rows],
            "warning": [" ".join(scan.notes) for scan in rows],
        }
    )
    config: dict[str, Any] = {
        "tick": st.column_config.CheckboxColumn("", width=40, pinned=True),
        "image": st.column_config.ImageColumn("Image", width=58, pinned=True),
        "open": st.column_config.ButtonColumn(
            "Open",
            width=70,
            type="tertiary",
            key=f"open-{key}",
            on_click=_open,
            args=(task, key, rows),
            pinned=True,
        ),
        "label": st.column_config.TextColumn(
            "Label", width=_label_width(rows), max_chars=80, help="Click twice to type a label."
        ),
        "patient": st.column_config.TextColumn(
            "Patient",
            width=108,
            max_chars=80,
            help="All scans of a patient stay together when the model is tested. The name in the file is "
            "replaced by a pseudonym that means nothing outside this workspace.",
        ),
        "file": st.column_config.TextColumn("File", width=200),
        "modality": st.column_config.TextColumn("Modality", width=64),
        "slices": st.column_config.NumberColumn("Slices", width=58),
        "size": st.column_config.TextColumn("Size", width=98, help="Columns and rows, in pixels."),
        "source": st.column_config.TextColumn("Patient known", width=110),
        "warning": st.column_config.TextColumn("Warning", width=260),
    }
    needless = {"warning": not any(scan.notes for scan in rows), "slices": max(map(_slices, rows)) == 1}
    for column in (name for name, nothing in needless.items() if nothing):
        table = table.drop(columns=column)
        del config[column]
    st.data_editor(
        table,
        key=key,
        hide_index=True,
        column_config=config,
        disabled=["image", "open", "file", "modality", "slices", "size", "source", "warning"],
        height=min(560, 38 + 56 * len(rows)),
        row_height=56,
        placeholder="–",
        on_change=_edited,
        args=(context, task, key, rows),
    )
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            # As wide as it can be: as wide as its pages, it would not find room for more once they were fewer.
            st.pagination(pages, key=page_key, width="stretch")
            st.caption(f"{count(len(shown), 'scan')}, {ROWS_A_PAGE} on a page", width="content")
    viewed = st.session_state.get(f"viewed-{task.id}")
    return next((scan for scan in scans if scan.id == viewed), rows[0])


def open_scan(task_id: str, scans: Sequence[Volume], role: Role, scan: Volume) -> None:
    """Have the table of a role, which holds ``scans``, begin at one of them, with it in the viewer."""
    st.session_state["table-search"], st.session_state["table-filter"] = "", _ALL
    st.session_state[_page_key(task_id, role, _pages(scans))] = scans.index(scan) // ROWS_A_PAGE + 1
    st.session_state[f"viewed-{task_id}"] = scan.id


def _pages(shown: Sequence[Volume]) -> int:
    return max(1, -(-len(shown) // ROWS_A_PAGE))


def _page_key(task_id: str, role: Role, pages: int) -> str:
    # A key for each number of pages: another filter begins at the first.
    return f"table-page-{task_id}-{role}-{pages}"


def class_names(scans: Sequence[Volume]) -> list[str]:
    """Every label there is, sorted."""
    return sorted({entry.label for scan in scans for entry in scan.entries if entry.label is not None})


def filtered(scans: Sequence[Volume], labels: Sequence[str]) -> list[Volume]:
    """Search and filter, and the scans that pass both."""
    search_side, filter_side = st.columns([2, 1])
    wanted = search_side.text_input(
        "Search",
        placeholder="Search file, label or patient",
        icon=":material/search:",
        label_visibility="collapsed",
        key="table-search",
    )
    options = [*_FILTERS, *(f"label:{label}" for label in labels)]
    chosen = filter_side.selectbox(
        "Filter",
        options,
        format_func=lambda key: _FILTERS.get(key, key.removeprefix("label:")),
        label_visibility="collapsed",
        key="table-filter",
    )
    needle = (wanted or "").strip().casefold()
    return [
        scan
        for scan in scans
        if _passes(scan, chosen)
        and (
            not needle
            or any(
                needle in (text or "").casefold()
                for entry in scan.entries
                for text in (entry.file, entry.label, entry.group)
            )
        )
    ]


def _passes(scan: Volume, chosen: str) -> bool:
    if chosen == _UNLABELLED:
        return scan.label is None
    if chosen == _UNKNOWN:
        return scan.key.group_source == "file"
    if chosen == _WARNED:
        return bool(scan.notes)
    wanted = chosen.removeprefix("label:")
    return chosen == _ALL or any(entry.label == wanted for entry in scan.entries)


def _toolbar(
    context: Context,
    task: TaskInfo,
    picked: Sequence[Volume],
    shown: Sequence[Volume],
    labels: Sequence[str],
    role: Role,
) -> None:
    """Selection, then what can be done with the selected scans, then undo and redo."""
    store, step = context.store, context.store.edit_step(task.id)
    chosen = [entry_id for scan in picked for entry_id in scan.ids]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        every = len(picked) == len(shown) and bool(shown)
        if st.button(
            "Select none" if every else f"Select all {len(shown)}",
            icon=":material/deselect:" if every else ":material/select_all:",
            disabled=not shown,
        ):
            _tick(task, set() if every else {scan.id for scan in shown})
            st.rerun()
        none = not chosen
        with st.popover("Label", icon=":material/label:", disabled=none):
            label = st.selectbox(
                f"Label for {count(len(picked), 'scan')}",
                labels,
                index=None,
                accept_new_options=True,
                placeholder="Choose or type a label",
                key="bulk-label",
            )
            if st.button("Set label", type="primary", disabled=not label):
                store.set_label(task.id, chosen, label)
                _done(task)
            if st.button("Remove the label"):
                store.set_label(task.id, chosen, None)
                _done(task)
        with st.popover("Patient", icon=":material/person:", disabled=none):
            name = st.text_input(f"Patient of {count(len(picked), 'scan')}", key="bulk-patient", max_chars=80)
            if st.button("Set patient", type="primary", disabled=not (name or "").strip()):
                store.set_group(task.id, chosen, str(name))
                _done(task)
        other: Role = "query" if role == "support" else "support"
        move = "Move to testing" if role == "support" else "Move to learning"
        if st.button(move, icon=":material/swap_horiz:", disabled=none):
            store.set_role(task.id, chosen, other)
            _done(task)
        if st.button("Remove", icon=":material/delete:", disabled=none, help="Can be undone."):
            store.remove(task.id, chosen)
            _done(task)
        if st.button(
            "Undo",
            icon=":material/undo:",
            disabled=step.undo is None,
            help=f"Undo: {md(step.undo)}" if step.undo else None,
        ):
            store.undo(task.id)
            _done(task)
        if st.button(
            "Redo",
            icon=":material/redo:",
            disabled=step.redo is None,
            help=f"Redo: {md(step.redo)}" if step.redo else None,
        ):
            store.redo(task.id)
            _done(task)
        st.caption(f"**{len(picked)}** selected" if picked else "Select scans to label them together")


def _ticked(task: TaskInfo) -> set[int]:
    """Ids selected in this session; another task starts with none."""
    if st.session_state.get("ticks-of") != task.id:
        st.session_state["ticks-of"] = task.id
        st.session_state["ticks"] = set()
        st.session_state["table-base"] = set()
    ticks: set[int] = st.session_state["ticks"]
    return ticks


def _collect_ticks(key: str, rows: Sequence[Volume], ticked: set[int]) -> None:
    """Read the boxes ticked since the table was drawn; the table keeps them itself until its key turns."""
    edits = st.session_state.get(key, {}).get("edited_rows", {})
    for position, values in edits.items():
        if "tick" in values and int(position) < len(rows):
            scan_id = rows[int(position)].id
            (ticked.add if values["tick"] else ticked.discard)(scan_id)


def _tick(task: TaskInfo, ids: set[int]) -> None:
    st.session_state["ticks"] = ids
    _turn()


def _turn() -> None:
    """Draw the table anew, with what is selected now as its start."""
    st.session_state["table-base"] = set(st.session_state["ticks"])
    st.session_state["table-turn"] = st.session_state.get("table-turn", 0) + 1


def _done(task: TaskInfo) -> None:
    """After a change from the toolbar: nothing selected, fresh table, page drawn again."""
    _tick(task, set())
    for key in ("bulk-label", "bulk-patient"):
        st.session_state.pop(key, None)
    st.rerun()


def _edited(context: Context, task: TaskInfo, key: str, rows: Sequence[Volume]) -> None:
    """Write labels and patients typed into the table; runs before the page is drawn again."""
    edits = st.session_state.get(key, {}).get("edited_rows", {})
    _collect_ticks(key, rows, _ticked(task))
    changed = False
    for position, values in edits.items():
        if int(position) >= len(rows):
            continue
        scan = rows[int(position)]
        if "label" in values:
            context.store.set_label(task.id, scan.ids, values["label"])
            changed = True
        if (values.get("patient") or "").strip():
            context.store.set_group(task.id, scan.ids, values["patient"])
        changed = changed or "patient" in values
    if changed:
        _turn()


def _open(task: TaskInfo, key: str, rows: Sequence[Volume]) -> None:
    click = st.session_state.get(f"open-{key}")
    if click is not None and click["row"] < len(rows):
        st.session_state[f"viewed-{task.id}"] = rows[click["row"]].id


def _label_width(rows: Sequence[Volume]) -> int:
    """Pixels the longest label needs, within what leaves the patient in sight."""
    longest = max((len(scan.label or "") for scan in rows), default=0)
    return min(max(118, 24 + 7 * longest), 190)


def _slices(scan: Volume) -> int:
    """Slices of a series, or frames of a file."""
    return len(scan.entries) if scan.is_series else scan.key.frames
