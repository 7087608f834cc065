"""The de-identification report against the standard's own words, and free of what the files hold."""

from __future__ import annotations

import json
import re

import pytest
from pydicom.datadict import tag_for_keyword

from medmeta.reports.deidentification import as_html, as_json, of_intake
from medmeta.scans import confidentiality as profile
from medmeta.scans.deidentify import PERMITTED_TAGS
from medmeta.scans.dicom import _READ
from medmeta.scans.intake import read_source
from medmeta.scans.reader import in_process
from medmeta.scans.scan import Intake, LabelledScan, Rejection, Scan

#: Rows of PS3.15 table E.1-1, copied by hand from the standard.
PUBLISHED = {
    "(0010,0010)": ("Patient's Name", "Z"),
    "(0010,0020)": ("Patient ID", "Z"),
    "(0010,0021)": ("Issuer of Patient ID", "X"),
    "(0010,0030)": ("Patient's Birth Date", "Z"),
    "(0010,1010)": ("Patient's Age", "X"),
    "(0008,0050)": ("Accession Number", "Z"),
    "(0008,0080)": ("Institution Name", "X/Z/D"),
    "(0008,0018)": ("SOP Instance UID", "U"),
    "(0020,000D)": ("Study Instance UID", "U"),
    "(0008,0020)": ("Study Date", "Z"),
    "(0008,0022)": ("Acquisition Date", "X/Z"),
    "(0018,1030)": ("Protocol Name", "X/D"),
    "(0008,1070)": ("Operators' Name", "X/Z/D"),
    "(0040,A730)": ("Content Sequence", "D"),
}


def some() -> Intake:
    import numpy as np

    scan = Scan(
        "f", np.zeros((1, 4, 4), np.uint8), "P-1", "PatientID", {"Modality": "CT"}, "1.2.840.10008.1.2"
    )
    return Intake((LabelledScan(scan, "a"),), (Rejection("<b>bad</b>", "is a <program>"),))


def test_codes_are_those_of_the_standard() -> None:
    ours = {each.tag: (each.name, each.code) for each in (*profile.REPLACED, *profile.DROPPED)}
    assert {tag: ours[tag] for tag in PUBLISHED} == PUBLISHED
    assert all(each.code == "not listed" for each in profile.KEPT)


def test_the_lists_are_complete_and_disjoint() -> None:
    kept = [each.keyword for each in profile.KEPT]
    assert sorted(kept) == sorted(PERMITTED_TAGS)
    replaced, dropped = ([each.keyword for each in part] for part in (profile.REPLACED, profile.DROPPED))
    assert len({*kept, *replaced, *dropped}) == len(kept) + len(replaced) + len(dropped)
    # What is said to be dropped is not even read; what is replaced is.
    assert not {tag_for_keyword(word) for word in dropped} & {int(tag) for tag in _READ}
    assert {tag_for_keyword(word) for word in replaced} <= {int(tag) for tag in _READ}


def test_html_is_whole_escaped_and_loads_nothing() -> None:
    text = as_html(of_intake(some(), "<script>alert(1)</script>", {"f": [[0, 0, 4, 4]]}))
    assert "<script" not in text
    assert "is a &lt;program&gt;" in text
    assert not re.search(r"(src|href)=", text)
    for clause in profile.CLAUSES:
        assert f">{clause.clause}<" in text
    for sentence in (
        "What it does not promise",
        "Clean Pixel Data Option",
        "Retain Longitudinal",
        "HMAC-SHA256",
    ):
        assert sentence in text
    assert '<td>in which it found text</td><td class="n">1</td>' in text


def test_json_counts() -> None:
    content = json.loads(as_json(of_intake(some(), "scans.zip", None)))
    report = content["report"]
    assert (report["scans"], report["dicom"], report["kept"]) == (1, 1, {"Modality": 1})
    assert report["refused"] == {"is a <program>": 1}
    assert report["text"]["looked"] == 0
    assert report["versions"]["pydicom"]
    assert len(content["clauses"]) == len(profile.CLAUSES)


@pytest.mark.parametrize("name", ["kermany_cxr_dicom", "lc25000_lung_dicom"])
def test_no_value_of_a_real_file_is_in_it(shared_data, name: str) -> None:
    found = read_source(shared_data / "dicom" / f"{name}.zip", key=bytes(32), reader=in_process())
    for make in (as_html, as_json):
        text = make(of_intake(found, name, None))
        assert "CANARY" not in text
        assert not any(item.scan.group in text for item in found.accepted)  # no pseudonym either
        assert bytes(32).hex() not in text
