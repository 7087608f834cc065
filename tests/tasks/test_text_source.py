"""Tables of texts become one set a domain; what is wrong is named by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from medmeta.errors import TaskError
from medmeta.tasks.sources import open_set


def table(tmp_path: Path, text: str, name: str = "reports.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_one_set_a_domain(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "label,text,group,domain\n"
        'mass,"A lesion, 3 cm",p1,ct\n'
        "none,Clear lungs,p2,ct\n"
        "none,No fracture,p1,xray\n"
        "\n"
        'fracture,"Broken\ntwice",,xray\n'
        "none,Clear lungs,p2,ct\n",
    )
    ct, xray = open_set(path)
    assert (ct.name, ct.domain, ct.classes) == ("reports/ct", "ct", ("mass", "none"))
    assert list(ct.items) == ["A lesion, 3 cm", "Clear lungs"]
    assert ct.targets.tolist() == [0, 1]
    assert ct.groups == ("p1", "p2")
    assert (xray.name, xray.classes) == ("reports/xray", ("fracture", "none"))
    assert list(xray.items) == ["No fracture", "Broken\ntwice"]
    assert xray.groups[0] == "p1"
    assert xray.groups[1].startswith("text-")


def test_without_domain_and_group(tmp_path: Path) -> None:
    path = table(tmp_path, "text;label\neins;a\nzwei;b\ndrei;b\n")
    (data,) = open_set(path)
    assert (data.name, data.domain) == ("reports", "reports")
    assert len(set(data.groups)) == 3
    assert open_set(path, domain="letters")[0].domain == "letters"
    assert open_set(table(tmp_path, "text,label\nx,a\ny,b\n", "mri_notes.csv"))[0].domain == "mri"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\nx.png,a\n", "text not found.*opened by their folder"),
        ("text,label\nx,a\ny\n", "line 3 has 1 cells where the header has 2"),
        ("text,label\nx,\n", "line 2 has no label"),
        ("text,label\n,a\n", "line 2 has no text"),
        ("text,label\nx,a\ny,b\nx,b\n", "lines 2 and 4 hold the same text under two labels"),
        ("text,label,group\nx,a,p\nx,a,q\n", "lines 2 and 3 hold the same text under two groups"),
        ('text,label\n"x,a\n', "not proper CSV"),
        ("text,label\n", "holds no row"),
        ("text,label\nx,a\ny,a\n", "at least 2 classes are needed, found 1"),
        (f"text,label\nx,{'a' * 81}\n", "line 2: a label or group may have 80"),
    ],
)
def test_a_faulty_table_names_the_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(TaskError, match=words):
        open_set(table(tmp_path, text))


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("text,label\nschön,a\n".encode("latin-1"))
    with pytest.raises(TaskError, match="UTF-8"):
        open_set(tmp_path / "x.csv")
