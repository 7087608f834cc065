"""Labelling one scan after the other: a key a class, the next scan comes by itself, undo brings the last one back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from medmeta.errors import MedMetaError
from medmeta.reports.words import percent
from medmeta.ui.guard import Context
from medmeta.ui.job_panel import ended_badly, live_job
from medmeta.ui.label_keys import label_keys
from medmeta.ui.scan_table import class_names, filtered
from medmeta.ui.text import count, md
from medmeta.ui.viewer import mark, show
from medmeta.ui.viewer_message import Labelling, Pane
from medmeta.workspace.reading import load_readings
from medmeta.workspace.records import Role, TaskInfo
from medmeta.workspace.suggest import Suggestion, rank_work, suggestions
from medmeta.workspace.volumes import Volume, volumes


@st.fragment
def labelling(context: Context, task: TaskInfo, role: Role, footer: Callable[[], None]) -> None:
    """The scans of a role, one at a time. Only this part of the page is drawn again after a key.

    Args:
        footer: draws what follows from the labels, as they are by then.
    """
    store, at = context.store, f"label-at-{task.id}-{role}"
    everything = volumes(store.entries(task.id, role))
    extra: list[str] = st.session_state.setdefault(f"classes-{task.id}", [])
    names = sorted({*class_names(everything), *extra})
    filter_side, class_side = st.columns([3, 2])
    with filter_side:
        shown = filtered(everything, names)
    with class_side:
        _new_class(extra, names)
    ranked = _suggested(context, task, everything, at) if role == "support" else []
    shown_ids = {scan.id for scan in shown}
    ranked = [each for each in ranked if each.volume.id in shown_ids]
    first = {each.volume.id: place for place, each in enumerate(ranked)}
    # Suggested scans first, the rest in the order they came.
    queue = sorted(shown, key=lambda scan: (first.get(scan.id, len(first)), scan.id))
    done = sum(scan.label is not None for scan in everything)
    st.progress(
        done / max(1, len(everything)),
        text=f"**{done} of {len(everything)}** scans have a label"
        + (" :green[:material/check_circle:]" if done == len(everything) else ""),
    )
    current = next((scan for scan in queue if scan.id == st.session_state.get(at)), None)
    if current is None:
        current = next((scan for scan in queue if scan.label is None), None) or next(iter(queue), None)
        if current is None:
            st.info("No scan matches the filter.", icon=":material/filter_alt:")
            footer()
            return
        st.session_state[at] = current.id
    if why := next((each for each in ranked if each.volume.id == current.id), None):
        st.markdown(f":material/lightbulb: {_reason(why)}")
    if not names:
        st.info("Name the classes first, above on the right. Each gets a key.", icon=":material/new_label:")
    keys = label_keys(names)
    counts = {name: sum(scan.label == name for scan in everything) for name in names}
    step = store.edit_step(task.id)
    show(
        context,
        current,
        everything,
        _act(context, task, at, queue, keys),
        height=500,
        labelling=Labelling(
            tuple((name, keys[name], counts[name]) for name in names), current.label, step.undo
        ),
    )
    footer()


def following(queue: Sequence[Volume], current: int) -> int:
    """The id of the next scan without a label behind ``current`` in the queue, from its start again at its end.

    With no other left, ``current`` itself.
    """
    ids = [scan.id for scan in queue]
    start = ids.index(current) + 1 if current in ids else 0
    for scan in (*queue[start:], *queue[:start]):
        if scan.label is None and scan.id != current:
            return scan.id
    return current


def _act(
    context: Context, task: TaskInfo, at: str, queue: Sequence[Volume], keys: dict[str, str | None]
) -> Callable[[dict[str, Any], Sequence[Pane]], None]:
    store, trail = context.store, st.session_state.setdefault(f"{at}-trail", [])

    def go(target: int) -> None:
        if target != st.session_state[at]:
            trail.append(st.session_state[at])
            st.session_state[at] = target

    def act(said: dict[str, Any], panes: Sequence[Pane]) -> None:
        what, here = said.get("do"), panes[0].volume
        if what == "mark":
            mark(context, said, panes)
        elif said.get("pane") != panes[0].id:
            return  # said of a scan that has left the screen
        elif what == "label" and said.get("label") in keys:
            store.set_label(task.id, here.ids, str(said["label"]))
            go(following(queue, here.id))
        elif what == "next":
            go(following(queue, here.id))
        elif what == "back" and trail:
            st.session_state[at] = trail.pop()
        elif what == "undo":
            changed = store.last_changed(task.id)
            store.undo(task.id)
            back = next((scan.id for scan in queue if changed & set(scan.ids)), None)
            if back is not None:
                st.session_state[at] = back

    return act


def _new_class(extra: list[str], names: Sequence[str]) -> None:
    form = st.form("new-class", clear_on_submit=True, border=False)
    with form.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            "New class", placeholder="Name of a class", max_chars=80, label_visibility="collapsed"
        )
        added = st.form_submit_button("Add class", icon=":material/new_label:")
    plain = " ".join((name or "").split())
    if added and plain and plain not in names:
        extra.append(plain)
        st.rerun(scope="fragment")


def _suggested(context: Context, task: TaskInfo, everything: Sequence[Volume], at: str) -> list[Suggestion]:
    """Offer to ask the latest model which scans it is least sure of, and its answer.

    A new answer takes the scan on screen (session state ``at``) away, so that the one of most doubt comes.
    """
    runs = [job for job in context.jobs.jobs(task.id, "adapt") if job.state == "done"]
    without = sum(scan.label is None for scan in everything)
    latest = next(iter(context.jobs.jobs(task.id, "rank")), None)
    if latest is not None and latest.live:
        live_job(context, latest.id, "Reading the scans without a label", border=False)
        return []
    if not runs or not without:
        if without:
            st.caption(
                "Scans without a label are never learned from. Once a model is adapted, it can say which of them to "
                "label next."
            )
        return []
    ranked: list[Suggestion] = []
    if latest is not None and latest.state == "done":
        try:
            ranked = suggestions(everything, load_readings(context.jobs.result(latest)))
        except MedMetaError as error:
            st.error(md(error), icon=":material/error:")
    elif latest is not None:
        ended_badly(latest, doing="Reading the scans", advice="Labels are untouched. Try again.")
    newest = latest is not None and latest.params.get("run") == runs[0].id
    if not (ranked and newest) and st.button(
        f"Suggest which of {count(without, 'scan')} to label next",
        icon=":material/lightbulb:",
        help="The model adapted last reads the scans without a label, and those it is least sure of come first: their "
        "labels teach it most. Nothing is learned from them until you label them and adapt again.",
    ):
        work = rank_work(context.store, task.id, context.jobs.result(runs[0]), context.engine.extractor)
        context.jobs.submit("rank", task.id, work, {"run": runs[0].id})
        st.rerun()
    if ranked and latest is not None:
        if st.session_state.get(f"{at}-ranked") != latest.id:
            st.session_state[f"{at}-ranked"] = latest.id
            st.session_state.pop(at, None)
        st.caption(f":material/lightbulb: {count(len(ranked), 'scan')} in the order of the model's doubt")
    return ranked


def _reason(suggestion: Suggestion) -> str:
    (one, p), (two, q) = suggestion.first, suggestion.second
    doubt = (
        "The model cannot tell"
        if suggestion.margin < 0.2
        else "Among the scans left, the model is least sure here"
    )
    return f"Suggested next: {doubt} — **{md(one)}** {percent(p)}, **{md(two)}** {percent(q)}."
