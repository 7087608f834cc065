"""Scans that may show text: a person looks and says what to do with them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw

from medmeta.errors import MedMetaError
from medmeta.scans.display import render
from medmeta.ui.guard import Context
from medmeta.ui.text import count, md
from medmeta.workspace import pixel_text
from medmeta.workspace.pixel_text import PixelText
from medmeta.workspace.records import Entry, Role, TaskInfo

_A_PAGE = 6
_SIDE = 360
_HELP = (
    "Names, dates or numbers at the edge of a picture are not removed with the file's tags: they are part of the "
    "picture. A text recogniser looks for them, and the file's own tags are asked. It can miss faint or tiny text."
)


def text_gate(context: Context, task: TaskInfo, role: Role, entries: Sequence[Entry]) -> None:
    """Ask about flagged scans of one role; nothing is drawn where none was ever flagged.

    Args:
        entries: of that role.
    """
    known = pixel_text.flagged(context.store, task.id)
    waiting = [entry for entry in entries if entry.held and entry.scan_id in known]
    kept = [entry for entry in entries if entry.scan_id in known and known[entry.scan_id].decision == "kept"]
    if waiting:
        _ask(context, task, waiting, known, role)
    if kept:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                f":material/visibility: You looked at {count(len(kept), 'scan')} that may show text, and kept "
                f"{'it' if len(kept) == 1 else 'them'}."
            )
            if st.button("Look again", type="tertiary", key=f"text-again-{role}"):
                pixel_text.ask_again(context.store, task.id, kept)
                st.rerun()


def _ask(
    context: Context, task: TaskInfo, waiting: Sequence[Entry], known: dict[str, PixelText], role: Role
) -> None:
    store = context.store
    found = [entry for entry in waiting if known[entry.scan_id].boxes]
    with st.container(border=True):
        st.markdown(
            f"##### :orange[:material/text_fields:] {count(len(waiting), 'scan')} may show text. "
            "Does it name anybody?",
            help=_HELP,
        )
        st.caption(
            f"{'It is' if len(waiting) == 1 else 'They are'} not used until you decide. Orange frames mark what was "
            "found."
            if found
            else f"No text was found on {'it' if len(waiting) == 1 else 'them'}, but the file says so or is of a kind "
            "that often bears some (ultrasound, captured screens). Not used until you decide."
        )
        pages = -(-len(waiting) // _A_PAGE)
        page = 1
        if pages > 1:
            page = min(int(st.session_state.get(f"text-page-{role}", 1)), pages)
        shown = waiting[(page - 1) * _A_PAGE : page * _A_PAGE]
        columns = st.columns(3)
        for position, entry in enumerate(shown):
            with columns[position % 3]:
                _one(context, task, entry, known[entry.scan_id], alone=len(waiting) == 1)
        if pages > 1:
            st.pagination(pages, key=f"text-page-{role}", width="stretch")
        with st.container(horizontal=True, gap="small"):
            if st.button(
                f"Blank the text on {'this scan' if len(found) == 1 else f'these {len(found)} scans'}",
                type="primary",
                icon=":material/ink_eraser:",
                disabled=not found,
                key=f"text-blank-{role}",
                help="Overwrites the framed places on every frame. Undo brings the first picture back; it stays on "
                "the disk until you delete removed scans in the task's settings.",
            ):
                _try(lambda: pixel_text.blank(store, task.id, found))
            if st.button(
                f"Keep all {len(waiting)}: nothing names anybody"
                if len(waiting) > 1
                else "Keep: names nobody",
                icon=":material/check:",
                key=f"text-keep-{role}",
            ):
                pixel_text.keep(store, task.id, waiting)
                st.rerun()
            if st.button(
                f"Remove all {len(waiting)}" if len(waiting) > 1 else "Remove",
                icon=":material/delete:",
                key=f"text-remove-{role}",
                help="Can be undone with Undo above the table.",
            ):
                pixel_text.remove(store, task.id, waiting)
                st.rerun()


def _one(context: Context, task: TaskInfo, entry: Entry, text: PixelText, *, alone: bool) -> None:
    store = context.store
    try:
        st.image(_framed(context, entry, text), width="stretch", caption=md(entry.file.rsplit("/", 1)[-1]))
    except MedMetaError as error:
        st.caption(md(error))
    if alone:  # the buttons below say the same
        return
    with st.container(horizontal=True, gap="small"):
        if text.boxes and st.button(
            "Blank", icon=":material/ink_eraser:", key=f"text-blank-{entry.id}", type="tertiary"
        ):
            _try(lambda: pixel_text.blank(store, task.id, [entry]))
        if st.button("Keep", icon=":material/check:", key=f"text-keep-{entry.id}", type="tertiary"):
            pixel_text.keep(store, task.id, [entry])
            st.rerun()
        if st.button("Remove", icon=":material/delete:", key=f"text-remove-{entry.id}", type="tertiary"):
            pixel_text.remove(store, task.id, [entry])
            st.rerun()


def _try(act: Callable[[], object]) -> None:
    try:
        act()
    except MedMetaError as error:
        st.error(md(error), icon=":material/error:")
        return
    st.rerun()


def _framed(context: Context, entry: Entry, text: PixelText) -> bytes:
    """The central frame with the found places framed, as a PNG at most `_SIDE` pixels wide or high."""
    scan = context.store.scan(entry)
    picture = Image.fromarray(np.asarray(render(scan, frame=scan.central_frame))).convert("RGB")
    scale = _SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for box in text.boxes:
        edges = (box.left * scale - 1, box.top * scale - 1, box.right * scale, box.bottom * scale)
        pen.rectangle(edges, outline=(255, 140, 0), width=2)
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()
