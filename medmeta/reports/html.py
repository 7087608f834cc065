"""The report as one HTML file that works offline and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from medmeta.evaluation.cases import commonest_answer, label_probability, sorted_by_worst, worst_mistakes
from medmeta.evaluation.result import Case, Evaluation
from medmeta.learners.titles import learner_title
from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports import evidence, figures, words

TEMPLATES = Path(__file__).parent / "templates"
#: Mistakes shown with pictures, and look-alikes beside each.
MISTAKES, NEAREST = 6, 3
_PNG = b"\x89PNG\r\n\x1a\n"


def html_report(evaluation: Evaluation, *, thumbnails: Mapping[str, bytes] | None = None) -> str:
    """One self-contained page: everything inline, light and dark, printable.

    Labels and file names are untrusted: they are escaped in HTML, in the figures' data and in plotly's own
    markup, and the page's content security policy runs only the two scripts whose hashes it names.

    Args:
        evaluation: what was measured.
        thumbnails: PNG bytes by ``Scan.id``; only those of the worst mistakes, their look-alikes and
            the disputed labels are put in. What is missing or no PNG shows as an empty frame.
    """
    pictures = thumbnails or {}
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    environment.filters.update(
        percent=words.percent,
        decimal=words.decimal,
        span=words.span,
        points=words.points,
        signed=words.signed,
        seconds=words.seconds,
        learner_title=learner_title,
    )
    plotly, script = _script(get_plotlyjs()), _script(_read("report.js"))
    return environment.get_template("report.html.j2").render(
        ev=evaluation,
        notice=RESEARCH_USE_ONLY,
        headline=words.headline(evaluation),
        meaning=words.meaning(evaluation),
        method=words.method(evaluation),
        figure_rows=evidence.figure_rows(evaluation),
        suspects=[
            {
                "suspect": suspect,
                "words": evidence.disputed(suspect),
                "image": _image(pictures.get(suspect.scan_id)),
            }
            for suspect in evaluation.suspects
        ],
        suspects_help=evidence.SUSPECTS_HELP,
        next_steps=evidence.next_steps(evaluation),
        limits=words.LIMITS,
        provenance=words.provenance_items(evaluation.provenance),
        guess_share=commonest_answer(evaluation.cases, evaluation.classes)[1] / evaluation.patients.n,
        right_scans=sum(case.correct for case in evaluation.cases),
        figures={
            "confusion": _figure(figures.confusion_figure(evaluation)),
            "per_class": _figure(figures.per_class_figure(evaluation)),
            "roc": _figure(figures.roc_figure(evaluation)),
            "comparison": _figure(figures.comparison_figure(evaluation)),
        },
        mistakes=[_row(case, evaluation, pictures) for case in worst_mistakes(evaluation, MISTAKES)],
        cases=[_row(case, evaluation, {}) for case in sorted_by_worst(evaluation)],
        classes=_data(list(evaluation.classes)),
        css=Markup(_read("report.css")),  # noqa: S704 - a file of this package
        plotly=plotly,
        script=script,
        policy=_policy(plotly, script),
    )


def _row(case: Case, evaluation: Evaluation, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    classes = evaluation.classes
    predicted = classes.index(case.predicted)
    return {
        "case": case,
        "cell": f"{classes.index(case.label)}-{predicted}",
        "predicted_probability": case.probabilities[predicted],
        "label_probability": label_probability(case, classes),
        "image": _image(pictures.get(case.scan_id)),
        "nearest": [
            {"image": _image(pictures.get(scan_id)), "file": file, "label": label, "similarity": similarity}
            for scan_id, file, label, similarity in case.nearest[:NEAREST]
        ],
    }


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
