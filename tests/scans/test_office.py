"""Spreadsheets and documents beside scans: refused by name, never unpacked."""

from __future__ import annotations

import pytest
from dicom_files import KEY, dicom, gradient, zipped

from medmeta.scans.intake import iter_intake
from medmeta.scans.reader import in_process
from medmeta.scans.scan import LabelledScan, Rejection

XML = b"<?xml version='1.0'?>"
EXCEL = zipped({"docProps/app.xml": XML, "xl/workbook.xml": XML, "[Content_Types].xml": XML})
WORD = zipped({"[Content_Types].xml": XML, "word/document.xml": XML, "word/media/image1.png": b"\x89PNG"})
CALC = zipped({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": XML}, method=0)
WRITER = zipped({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": XML}, method=0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (EXCEL, "save the sheet as labels.csv (CSV UTF-8)"),
        (CALC, "save the sheet as labels.csv (CSV UTF-8)"),
        (WORD, "is an office document"),
        (WRITER, "is an office document"),
    ],
)
def test_an_office_file_is_refused_by_name(data: bytes, words: str) -> None:
    scans = {"benign/1": dicom(gradient()), "malignant/2": dicom(gradient() + 1)}
    for uploads in (
        {**scans, "labels": data},
        {"all.zip": zipped({**scans, "labels": data})},
        {"only": data},
    ):
        found = list(iter_intake(uploads.items(), key=KEY, reader=in_process()))
        (refused,) = (item for item in found if isinstance(item, Rejection))
        assert refused.file in ("labels", "only")
        assert words in refused.reason
        labels = [item.label for item in found if isinstance(item, LabelledScan)]
        assert labels == ([] if "only" in uploads else ["benign", "malignant"])


def test_a_zip_of_scans_inside_a_zip_is_still_called_one() -> None:
    inner = zipped({"1": dicom(gradient())})
    found = list(iter_intake([("all.zip", zipped({"in.zip": inner}))], key=KEY, reader=in_process()))
    (refused,) = (item for item in found if isinstance(item, Rejection))
    assert refused.reason.startswith("is a ZIP inside a ZIP")
