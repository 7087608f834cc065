"""The viewer: window and level, frames, invert, zoom, the value under the pointer, the permitted tags."""

from __future__ import annotations

import base64
import io

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from medmeta.errors import MedMetaError
from medmeta.scans.display import PRESETS, default_window, render
from medmeta.scans.scan import Scan
from medmeta.ui.guard import Context
from medmeta.ui.text import md
from medmeta.workspace.records import Entry

#: Largest side of the image sent to the browser, and of the grid of values behind the pointer.
_SIDE, _GRID = 1536, 384
_OWN, _FULL = "As stored", "Full range"


@st.fragment
def viewer(context: Context, entry: Entry, *, height: int = 520) -> None:
    """Show one scan. What is changed here changes the picture only, never what the model reads."""
    try:
        scan = context.store.scan(entry)
    except MedMetaError as error:
        st.error(md(error), icon=":material/broken_image:")
        return
    title = f"**{md(entry.file)}**" + (f" · {md(entry.label)}" if entry.label else "")
    st.markdown(title)
    key = f"view-{entry.scan_id[:12]}-{entry.id}"
    frame = 0
    if scan.frames > 1:
        frame = st.slider("Frame", 1, scan.frames, scan.central_frame + 1, key=f"{key}-frame") - 1
    window, invert = (None, False) if scan.is_colour else _controls(scan, frame, key)
    st.plotly_chart(
        _picture(scan, frame, window, invert=invert, height=height),
        key=f"{key}-picture",
        theme=None,
        config={"scrollZoom": True, "displaylogo": False, "modeBarButtonsToRemove": ["toImage"]},
        alt=f"Scan, frame {frame + 1} of {scan.frames}",
    )
    st.caption("Scroll to zoom, drag to move, double-click to see all of it.")
    for text in scan.warnings:
        st.warning(md(text), icon=":material/warning:")
    _tags(scan, entry)


def _controls(scan: Scan, frame: int, key: str) -> tuple[tuple[float, float], bool]:
    """Presets and sliders of window centre and width, and invert."""
    values = scan.pixels[frame]
    low, high = float(values.min()), float(values.max())
    width_all = max(high - low, 1.0)
    presets = {_OWN: default_window(scan), _FULL: ((low + high) / 2, width_all)}
    if scan.unit == "HU":
        presets |= PRESETS
    unit = f" ({scan.unit})" if scan.unit else ""
    name = st.segmented_control(
        "Window",
        list(presets),
        default=_OWN,
        required=True,
        key=f"{key}-preset",
        label_visibility="collapsed",
        wrap=True,
    )
    centre, width = presets[name]
    step = 1.0 if width_all >= 50 else width_all / 200
    shown = "%.0f" if step == 1.0 else "%.3g"
    left, right, invert_side = st.columns([5, 5, 3], vertical_alignment="bottom")
    # Keys carry the preset: choosing one moves both sliders to it.
    centre = left.slider(
        f"Level{unit}",
        min(low, centre),
        max(high, centre),
        float(centre),
        step,
        format=shown,
        key=f"{key}-{name}-centre",
        help="The grey value shown as mid-grey.",
    )
    width = right.slider(
        f"Width{unit}",
        min(step, width),
        max(2 * width_all, width),
        float(width),
        step,
        format=shown,
        key=f"{key}-{name}-width",
        help="The span of grey values between black and white. Narrow means more contrast.",
    )
    invert = invert_side.toggle("Invert", key=f"{key}-invert")
    return (centre, width), invert


def _picture(
    scan: Scan, frame: int, window: tuple[float, float] | None, *, invert: bool, height: int
) -> go.Figure:
    shown = render(scan, frame=frame, window=window, invert=invert)
    figure = go.Figure()
    figure.add_layout_image(
        source=_png(shown),
        xref="x",
        yref="y",
        x=-0.5,
        y=-0.5,
        sizex=scan.columns,
        sizey=scan.rows,
        sizing="stretch",
        layer="below",
    )
    if not scan.is_colour:
        figure.add_trace(_values(scan, frame))
    figure.update_xaxes(visible=False, range=[-0.5, scan.columns - 0.5], constrain="domain")
    figure.update_yaxes(
        visible=False, range=[scan.rows - 0.5, -0.5], scaleanchor="x", scaleratio=1, constrain="domain"
    )
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="black",
        plot_bgcolor="black",
        dragmode="pan",
        # Keeps zoom and place while the window or the frame changes.
        uirevision=scan.id,
        showlegend=False,
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#9aa7aa", "activecolor": "#ffffff"},
    )
    return figure


def _values(scan: Scan, frame: int) -> go.Heatmap:
    """An invisible layer that tells the value under the pointer, thinned for large images."""
    stride = max(1, -(-max(scan.rows, scan.columns) // _GRID))
    rows, columns = np.arange(0, scan.rows, stride), np.arange(0, scan.columns, stride)
    grid = np.asarray(scan.pixels[frame, ::stride, ::stride])
    if grid.dtype.itemsize == 4:
        grid = grid.astype(np.float64)
    unit = f" {scan.unit}" if scan.unit else ""
    return go.Heatmap(
        z=grid,
        x=columns,
        y=rows,
        opacity=0,
        showscale=False,
        hovertemplate=f"column %{{x}}, row %{{y}}<br><b>%{{z:.0f}}</b>{unit}<extra></extra>",
    )


def _png(shown: NDArray[np.uint8]) -> str:
    """A data address of the picture, made smaller when it is larger than any screen needs."""
    image = Image.fromarray(shown)
    if max(image.size) > _SIDE:
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _tags(scan: Scan, entry: Entry) -> None:
    with st.expander("What is kept from the file", icon=":material/sell:"):
        rows = {name: str(value) for name, value in scan.tags.items() if value is not None}
        rows |= {"Rows × columns": f"{scan.rows} × {scan.columns}", "Frames": str(scan.frames)}
        if scan.transfer_syntax:
            rows["Transfer syntax"] = scan.transfer_syntax
        if scan.unit:
            rows["Unit"] = scan.unit
        rows["Patient"] = entry.group
        st.dataframe(
            pd.DataFrame({"Item": list(rows), "Value": list(rows.values())}),
            hide_index=True,
            height="content",
        )
        st.caption(
            "Names, dates, numbers and all other identifying entries were dropped when the file was read."
        )
