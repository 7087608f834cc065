"""What the checks say about the scans of a task, each with what can be done about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import streamlit as st

from medmeta.scans.checks import Finding, Severity
from medmeta.ui.guard import SCANS, Context
from medmeta.ui.text import count, md
from medmeta.workspace.looks import Looks
from medmeta.workspace.records import Entry, TaskInfo
from medmeta.workspace.set_checks import check_task
from medmeta.workspace.store import Store
from medmeta.workspace.volumes import used

_ICONS: dict[Severity, str] = {
    "error": ":red[:material/error:]",
    "warning": ":orange[:material/warning:]",
    "note": ":blue[:material/info:]",
}
#: Findings of one kind shown one by one; the rest is counted.
_SHOWN = 6
_PICTURES = 6
#: Findings told where there is no room for all.
_LINES = 3


def checks_panel(context: Context, task: TaskInfo, entries: Sequence[Entry], *, folded: bool = False) -> None:
    """The findings, errors first and open; removals can be undone. Nothing is drawn where all is well.

    Args:
        entries: of the task, to learn from and to test on.
    """
    findings = findings_of(context, task, entries)
    if not findings:
        return
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    notes = len(findings) - errors - warnings
    title = ", ".join(
        part
        for part in (
            f":red[{count(errors, 'contradiction')}]" if errors else "",
            count(warnings, "warning") if warnings else "",
            count(notes, "note") if notes else "",
        )
        if part
    )
    with st.expander(
        f":material/fact_check: Checks of all scans of this task: {title}",
        expanded=bool(errors) and not folded,
        key=f"checks-{task.id}",  # what is open stays so when the counts in its title change
    ):
        known = {entry.id: entry for entry in entries}
        shown: dict[str, int] = {}
        for finding in findings:
            shown[finding.kind] = shown.get(finding.kind, 0) + 1
            if shown[finding.kind] <= _SHOWN:
                _finding(context, task, finding, known)
        for kind, number in shown.items():
            if number > _SHOWN:
                st.caption(f"{count(number - _SHOWN, 'more finding')} like {_KINDS.get(kind, kind)}.")
        _remove_all(context, task, findings)


def serious_findings(context: Context, task: TaskInfo, entries: Sequence[Entry]) -> None:
    """What should be settled before a model learns, a line a finding, where a person is about to press the button."""
    serious = [found for found in findings_of(context, task, entries) if found.severity != "note"]
    for finding in serious[:_LINES]:
        st.markdown(f"{_ICONS[finding.severity]} {md(finding.sentence)}")
    if serious:
        rest = len(serious) - _LINES
        words = (
            f"{count(rest, 'more finding')} on the Scans page"
            if rest > 0
            else "See the checks on the Scans page"
        )
        context.link(SCANS, words, icon=":material/fact_check:")


def findings_of(context: Context, task: TaskInfo, entries: Sequence[Entry]) -> tuple[Finding, ...]:
    """What the checks say of a task's scans to learn from and to test on, ``entries``."""
    # Neighbouring slices of a volume are alike by nature: of each, only what is used is checked.
    checked = used(entries)
    looks = context.engine.looks
    compared = not looks.missing(entries)
    # A digest: Streamlit takes a twentieth of a second to look through 1,000 scans by itself.
    state = repr([compared, *((entry.id, entry.label, entry.group, entry.role) for entry in checked)])
    digest = hashlib.sha256(state.encode()).hexdigest()
    return _findings(context.store, checked, looks if compared else None, task.id, digest)


@st.cache_data(max_entries=16, show_spinner=False)
def _findings(
    _store: Store, _entries: Sequence[Entry], _looks: Looks | None, task_id: str, state: str
) -> tuple[Finding, ...]:
    """Found anew when a scan, label, patient or side has changed, or the scans have been compared."""
    return check_task(_store, _entries, _looks)


_KINDS = {
    "copy": "copies of one patient",
    "copy-two-patients": "copies under different patients",
    "copy-two-labels": "copies under different labels",
    "copy-both-sides": "copies on both sides",
    "orientation": "another orientation",
}


def _finding(context: Context, task: TaskInfo, finding: Finding, known: Mapping[int, Entry]) -> None:
    text_side, button_side = st.columns([5, 1], vertical_alignment="center")
    text_side.markdown(f"{_ICONS[finding.severity]} {md(finding.sentence)}")
    # The number of scans is part of the key: after a removal the button of another finding is not the same one.
    key = f"settle-{finding.kind}-{finding.keys[0]}-{len(finding.keys)}"
    if finding.removable and button_side.button(
        f"Remove {len(finding.removable)}",
        icon=":material/delete:",
        key=key,
        help="Keeps the first. Can be undone with Undo above the table.",
    ):
        context.store.remove(task.id, list(finding.removable))
        st.rerun()
    if finding.kind.startswith("copy") or finding.kind in ("orientation", "empty", "stray"):
        with st.container(horizontal=True, gap="small"):
            for entry_id in finding.keys[:_PICTURES]:
                st.image(context.store.thumbnail(known[entry_id]), width=80)


def _remove_all(context: Context, task: TaskInfo, findings: tuple[Finding, ...]) -> None:
    copies = [f for f in findings if f.kind in ("copy", "copy-two-patients")]
    spare = sorted({key for finding in copies for key in finding.removable})
    if len(copies) > 1 and st.button(
        f"Remove all {len(spare)} spare copies",
        icon=":material/delete_sweep:",
        key="settle-all-copies",
        help="Keeps one picture of each. Can be undone with Undo above the table.",
    ):
        context.store.remove(task.id, spare)
        st.rerun()
