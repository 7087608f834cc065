"""The viewer on a page: one scan or two side by side, what is to be said of them, the permitted tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from medmeta.errors import MedMetaError
from medmeta.ui.guard import Context
from medmeta.ui.text import count, md
from medmeta.ui.viewer_message import Labelling, Pane, message
from medmeta.workspace.volumes import Volume

_PARTS = Path(__file__).parent / "component"
_SCRIPTS = ("pixels.js", "pane.js", "viewer.js")
#: Scans are offered for comparison up to here; more make a list that nobody reads.
_MOST_BESIDE = 300


@cache
def _component() -> ComponentRenderer:
    """The viewer as Streamlit mounts it; its parts are files of this package and nothing from a network."""
    return st.components.v2.component(
        "medmeta.viewer",
        html=(_PARTS / "viewer.html").read_text(encoding="utf-8"),
        css=(_PARTS / "viewer.css").read_text(encoding="utf-8"),
        js="\n".join((_PARTS / name).read_text(encoding="utf-8") for name in _SCRIPTS),
    )


@st.fragment
def viewer(context: Context, volume: Volume, others: Sequence[Volume] = (), *, height: int = 500) -> None:
    """Show a scan; what is moved here changes the picture only, never what the model reads.

    Args:
        others: scans that may be put beside it.
        height: of the picture, in pixels of the page.
    """

    def act(said: dict[str, Any], panes: Sequence[Pane]) -> None:
        mark(context, said, panes)

    if show(context, volume, others, act, height=height):
        st.rerun()


def show(
    context: Context,
    volume: Volume,
    others: Sequence[Volume],
    act: Callable[[dict[str, Any], Sequence[Pane]], None],
    *,
    height: int,
    labelling: Labelling | None = None,
) -> bool:
    """Draw the viewer and what belongs under it.

    Args:
        act: called with what a person did in it that is more than looking (``do``: ``"mark"``, ``"label"``, ...),
            before the page is drawn again.

    Returns:
        whether that has just happened.
    """
    title_side, beside_side = st.columns([3, 2], vertical_alignment="center")
    with beside_side:
        beside = _beside(volume, others)
    shown = [volume] if beside is None else [volume, beside]
    title_side.markdown(" beside ".join(_title(each) for each in shown))
    try:
        panes = [Pane(each, context.store.scan(each.key), context.store.scan) for each in shown]
    except MedMetaError as error:
        st.error(md(error), icon=":material/broken_image:")
        return False
    key = "viewer"
    state: Any = st.session_state.get(key) or {}
    want = state.get("want") or {}
    data, problems = message(
        panes, want if isinstance(want, dict) else {}, height=height, labelling=labelling
    )

    def acted() -> None:
        said = st.session_state[key].get("act")
        if isinstance(said, dict):
            act(said, panes)

    result = _component()(key=key, data=data, on_want_change=lambda: None, on_act_change=acted)
    for problem in problems:
        st.error(md(problem), icon=":material/broken_image:")
    _help(any(pane.length > 1 for pane in panes))
    for each in shown:
        for text in each.notes:
            st.warning(md(text), icon=":material/warning:")
    _tags(panes)
    return result.act is not None


def _title(volume: Volume) -> str:
    files = f" and {count(len(volume.entries) - 1, 'more slice')}" if volume.is_series else ""
    label = f" · {md(volume.label)}" if volume.label else ""
    return f"**{md(volume.key.file)}**{files}{label}"


def _beside(volume: Volume, others: Sequence[Volume]) -> Volume | None:
    """The scan a person chose to see next to this one."""
    offered = {other.id: other for other in others[:_MOST_BESIDE] if other.id != volume.id}
    if not offered:
        return None
    # Numbered: a select box tells options apart by their words, and files may share a name.
    words = {
        key: f"{number}. {other.label or 'no label'} · {other.key.file}"
        for number, (key, other) in enumerate(offered.items(), start=1)
    }
    picked = st.selectbox(
        "Beside it",
        list(offered),
        index=None,
        format_func=words.__getitem__,
        placeholder="Compare with…",
        label_visibility="collapsed",
        key="viewer-beside",
    )
    return offered.get(picked) if picked is not None else None


def mark(context: Context, said: dict[str, Any], panes: Sequence[Pane]) -> None:
    """Mark or unmark the slice a person pointed at."""
    index = said.get("index")
    for pane in panes:
        if (
            said.get("do") == "mark"
            and pane.id == said.get("pane")
            and isinstance(index, int)
            and 0 <= index < len(pane.volume.entries)
        ):
            entry = pane.volume.entries[index]
            context.store.set_marked(entry.task_id, [entry.id], not entry.marked)


def _help(several: bool) -> None:
    scroll = "Wheel or arrow keys to scroll, drag" if several else "Drag"
    st.caption(
        f"{scroll} for window and level, right-drag, Ctrl+wheel or two fingers to zoom, Shift-drag to move, "
        "double-click to reset.",
        help="Keys: 0 as stored, 1 soft tissue, 2 lung, 3 liver, 4 bone, 5 brain (values in HU), I invert, + and − "
        "zoom, R reset, arrows, Page Up and Page Down scroll, Home and End, M marks the slice that carries the label. "
        "Nothing here changes what the model reads, except the marks.",
    )


def _tags(panes: Sequence[Pane]) -> None:
    with st.expander("What is kept from the file", icon=":material/sell:"):
        for pane in panes:
            scan = pane.central
            rows = {name: str(value) for name, value in scan.tags.items() if value is not None}
            rows |= {"Rows × columns": f"{scan.rows} × {scan.columns}", "Frames": str(scan.frames)}
            if scan.transfer_syntax:
                rows["Transfer syntax"] = scan.transfer_syntax
            if scan.unit:
                rows["Unit"] = scan.unit
            if pane.volume.is_series:
                step = pane.volume.stack.step
                rows["Slices"] = str(pane.length) + (f", {step:.3g} mm apart" if step else "")
            rows["Patient"] = pane.volume.key.group
            st.dataframe(
                pd.DataFrame({"Item": list(rows), "Value": list(rows.values())}),
                hide_index=True,
                height="content",
            )
        st.caption(
            "Names, dates, numbers and all other identifying entries were dropped when the file was read."
        )
