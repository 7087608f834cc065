"""Everything a person can take away of a run; reports are drawn only when asked for."""

from __future__ import annotations

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from medmeta.evaluation.result import Evaluation
from medmeta.evaluation.serialise import to_json
from medmeta.reports.tables import cases_csv, figures_csv
from medmeta.workspace.kept_scans import kept_bytes
from medmeta.workspace.reading import Reading
from medmeta.workspace.records import Entry
from medmeta.workspace.run import load_thumbnails

#: Bytes of pixels up to which a bundle goes through the browser, which holds it in memory.
MOST_DOWNLOADED = 400 * 2**20


def file_stem(task: str) -> str:
    """A file name made of the task's name: letters, digits and hyphens only."""
    return re.sub(r"[^a-z0-9]+", "-", task.casefold()).strip("-")[:40] or "medmeta"


def run_downloads(evaluation: Evaluation, folder: Path) -> None:
    """Buttons for the report (HTML, PDF, DICOM), the data (CSV, JSON), and what a reviewer needs to repeat it."""
    stem = file_stem(evaluation.task)

    # The report writers are imported when a report is asked for: most visits ask for none.
    def html() -> str:
        from medmeta.reports.html import html_report

        return html_report(evaluation, thumbnails=load_thumbnails(folder))

    def pdf() -> bytes:
        from medmeta.reports.pdf import pdf_report

        return pdf_report(evaluation, thumbnails=load_thumbnails(folder))

    def as_json() -> str:
        from medmeta.reports.checklists import checklists_json

        return json.dumps({**to_json(evaluation), "checklists": checklists_json(evaluation)}, indent=2)

    def dicom() -> bytes:
        from medmeta.reports.dicom import evaluation_dicom

        return zipped(evaluation_dicom(evaluation))

    def bundle() -> bytes:
        from medmeta.workspace.bundle import write_bundle

        with tempfile.TemporaryDirectory() as place:
            target = Path(place) / "bundle.zip"
            write_bundle(folder, target)
            return target.read_bytes()

    offers: list[tuple[str, str, str, str, Callable[[], str | bytes]]] = [
        ("Report (HTML)", f"{stem}-report.html", "text/html", ":material/description:", html),
        ("Report (PDF)", f"{stem}-report.pdf", "application/pdf", ":material/picture_as_pdf:", pdf),
        (
            "Report (DICOM)",
            f"{stem}-dicom.zip",
            "application/zip",
            ":material/local_hospital:",
            dicom,
        ),
        (
            "Cases (CSV)",
            f"{stem}-cases.csv",
            "text/csv",
            ":material/table:",
            lambda: cases_csv(evaluation),
        ),
        (
            "Figures (CSV)",
            f"{stem}-figures.csv",
            "text/csv",
            ":material/table:",
            lambda: figures_csv(evaluation),
        ),
        (
            "Everything (JSON)",
            f"{stem}.json",
            "application/json",
            ":material/data_object:",
            as_json,
        ),
    ]
    room = kept_bytes(folder)
    if room is not None and room <= MOST_DOWNLOADED:
        offers.append(
            (
                "For a reviewer (ZIP)",
                f"{stem}-bundle.zip",
                "application/zip",
                ":material/inventory_2:",
                bundle,
            )
        )
    with st.container(horizontal=True):
        for label, name, mime, icon, make in offers:
            st.download_button(label, make, name, mime, icon=icon, on_click="ignore", key=f"download-{name}")
    st.caption(
        "HTML, PDF and JSON hold the CLAIM and TRIPOD+AI checklists, filled as far as the program knows. DICOM is for "
        "an archive: a Structured Report and a picture of the first page, research use only. With the ZIP, a reviewer "
        "can repeat the evaluation: scans, labels and figures without names of files and patients. Its pixels may show "
        "burned-in text, so look first."
    )
    if room is not None and room > MOST_DOWNLOADED:
        st.caption(
            f"The scans of this run take {room >> 20} MiB, too much for a browser. In the shell, "
            "`python -m medmeta report RUN --bundle FILE` writes the bundle for a reviewer."
        )


def readings_download(readings: Sequence[Reading], entries: Sequence[Entry], learner: str, stem: str) -> None:
    """A button for the answers about new scans as DICOM Structured Reports, one a patient."""

    def dicom() -> bytes:
        from medmeta.reports.dicom import ScanAnswer, answers_dicom

        answers = [
            ScanAnswer(
                scan_id=reading.scan_id,
                group=entry.group,
                label=reading.label,
                classes=reading.classes,
                probabilities=reading.probabilities,
                abstained=reading.abstained,
                out_of_domain=reading.out_of_domain,
                sop_class=str(entry.tags["SOPClassUID"]) if entry.tags.get("SOPClassUID") else None,
            )
            for reading, entry in zip(readings, entries, strict=True)
        ]
        return zipped(answers_dicom(answers, learner, datetime.now(UTC)))

    st.download_button(
        "Readings (DICOM)",
        dicom,
        f"{stem}-readings-dicom.zip",
        "application/zip",
        icon=":material/local_hospital:",
        on_click="ignore",
    )


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Files as a ZIP."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()
