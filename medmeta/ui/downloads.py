"""Everything a person can take away of a run; reports are drawn only when asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from medmeta.evaluation.result import Evaluation
from medmeta.evaluation.serialise import to_json
from medmeta.reports.tables import cases_csv, figures_csv
from medmeta.workspace.run import load_thumbnails


def file_stem(task: str) -> str:
    """A file name made of the task's name: letters, digits and hyphens only."""
    return re.sub(r"[^a-z0-9]+", "-", task.casefold()).strip("-")[:40] or "medmeta"


def run_downloads(evaluation: Evaluation, folder: Path) -> None:
    """Buttons for the report (HTML, PDF) and the data (CSV, JSON)."""
    stem = file_stem(evaluation.task)

    # The report writers are imported when a report is asked for: most visits ask for none.
    def html() -> str:
        from medmeta.reports.html import html_report

        return html_report(evaluation, thumbnails=load_thumbnails(folder))

    def pdf() -> bytes:
        from medmeta.reports.pdf import pdf_report

        return pdf_report(evaluation, thumbnails=load_thumbnails(folder))

    def as_json() -> str:
        return json.dumps(to_json(evaluation), indent=2)

    offers: tuple[tuple[str, str, str, str, Callable[[], str | bytes]], ...] = (
        ("Report (HTML)", f"{stem}-report.html", "text/html", ":material/description:", html),
        ("Report (PDF)", f"{stem}-report.pdf", "application/pdf", ":material/picture_as_pdf:", pdf),
        ("Cases (CSV)", f"{stem}-cases.csv", "text/csv", ":material/table:", lambda: cases_csv(evaluation)),
        (
            "Figures (CSV)",
            f"{stem}-figures.csv",
            "text/csv",
            ":material/table:",
            lambda: figures_csv(evaluation),
        ),
        ("Everything (JSON)", f"{stem}.json", "application/json", ":material/data_object:", as_json),
    )
    with st.container(horizontal=True):
        for label, name, mime, icon, make in offers:
            st.download_button(label, make, name, mime, icon=icon, on_click="ignore", key=f"download-{name}")
