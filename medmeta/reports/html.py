"""The report as one HTML file that works offline and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from medmeta.evaluation.cases import commonest_answer
from medmeta.evaluation.result import Evaluation
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports import words
from medmeta.reports.sections import sections

TEMPLATES = Path(__file__).parent / "templates"
_PNG = b"\x89PNG\r\n\x1a\n"


def html_report(evaluation: Evaluation, *, thumbnails: Mapping[str, bytes] | None = None) -> str:
    """One self-contained page: everything inline, light and dark, printable.

    Labels and file names are untrusted: they are escaped in HTML, in the figures' data and in plotly's own
    markup, and the page's content security policy runs only the two scripts whose hashes it names.

    Args:
        evaluation: what was measured.
        thumbnails: PNG bytes by ``Scan.id``; only those of the scans the sections show are put in. What is
            missing or no PNG shows as an empty frame.
    """
    pictures = thumbnails or {}
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    environment.filters.update(
        percent=words.percent,
        decimal=words.decimal,
        span=words.span,
        seconds=words.seconds,
        kind=lambda part: type(part).__name__,
        figure=_figure,
        image=lambda scan_id: _image(pictures.get(scan_id)),
    )
    plotly, script = _script(get_plotlyjs()), _script(_read("report.js"))
    return environment.get_template("report.html.j2").render(
        ev=evaluation,
        notice=RESEARCH_USE_ONLY,
        headline=words.headline(evaluation),
        meaning=words.meaning(evaluation),
        balanced_span=words.balanced_span(evaluation),
        auroc_span=words.auroc_span(evaluation),
        guess_share=commonest_answer(evaluation.cases, evaluation.classes)[1] / evaluation.patients.n,
        right_scans=sum(case.correct for case in evaluation.cases),
        sections=sections(evaluation),
        classes=_data(list(evaluation.classes)),
        css=Markup(_read("report.css")),  # noqa: S704 - a file of this package
        plotly=plotly,
        script=script,
        policy=_policy(plotly, script),
    )


def _image(png: bytes | None) -> str | None:
    if png is None or not png.startswith(_PNG):
        return None
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _figure(figure: go.Figure) -> Markup:
    # Whatever template is the process's default (Streamlit sets its own) must not reach the report.
    figure.update_layout(template="none", paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    return _data(json.loads(figure.to_json()))


def _data(value: object) -> Markup:
    """JSON that cannot leave its script element."""
    text = json.dumps(value, allow_nan=False)
    safe = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(safe)  # noqa: S704 - no markup left in it


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _script(source: str) -> Markup:
    # A parser turns CR LF into LF before it hashes; do it first, so that the hashes agree.
    return Markup(source.replace("\r\n", "\n").replace("\r", "\n"))  # noqa: S704 - of this package or plotly's


def _policy(*scripts: str) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
