"""Both checklists are whole, every state is one of four, and what is filled in follows from the evaluation."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from helpers import read_pdf

from medmeta.evaluation.result import QUERY_SET, Evaluation
from medmeta.reports.checklist import AUTHOR, FILLED, NOT_APPLICABLE, PART
from medmeta.reports.checklists import CHECKLISTS, checklists_json, filled
from medmeta.reports.html import html_report
from medmeta.reports.pdf import pdf_report

#: Subitems of TRIPOD+AI; the other items of its 27 have none.
TRIPOD_PARTS = {
    3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc",
}  # fmt: skip


def test_all_items_in_order() -> None:
    claim, tripod = CHECKLISTS
    assert [item.number for item in claim.items] == [str(n) for n in range(1, 45)]
    expected = [f"{n}{part}" for n in range(1, 28) for part in TRIPOD_PARTS.get(n, " ")]
    assert [item.number for item in tripod.items] == [number.strip() for number in expected]
    assert len(tripod.items) == 52


@pytest.mark.parametrize("checklist", CHECKLISTS, ids=lambda checklist: checklist.key)
def test_state_and_value_agree(checklist, evaluation: Evaluation) -> None:
    for answer in filled(checklist, evaluation):
        assert answer.status in {FILLED, PART, AUTHOR, NOT_APPLICABLE}
        assert bool(answer.value) is (answer.status != AUTHOR), answer.item.number
        assert answer.item.about
    assert {a.status for a in filled(checklist, evaluation)} >= {FILLED, PART, AUTHOR}


def test_values_are_the_evaluations_own(evaluation: Evaluation) -> None:
    claim, tripod = ({i["item"]: i["value"] for i in c["items"]} for c in checklists_json(evaluation))
    count = evaluation.patients
    assert f"{count.correct} of {count.n} patients right" in claim["37"]
    assert claim["37"] == tripod["23a"]
    wrong = sum(not case.correct for case in evaluation.cases)
    assert claim["39"].startswith(f"{wrong} of {len(evaluation.cases)} scans wrong")
    assert f"Leave-one-patient-out over {evaluation.n_groups} patients" in claim["32"]
    other = checklists_json(replace(evaluation, protocol=QUERY_SET))[0]["items"]
    assert "separate query set" in {i["item"]: i["value"] for i in other}["33"]
    json.dumps(checklists_json(evaluation), allow_nan=False)


def test_html_and_pdf_show_every_item(evaluation: Evaluation) -> None:
    html, paper = html_report(evaluation), read_pdf(pdf_report(evaluation))
    for checklist in CHECKLISTS:
        section = html[html.index(f'id="{checklist.key}"') :]
        section = section[: section.index("</section>")]
        rows = re.findall(r'<tr><th scope="row">([^<]+)</th>', section)
        assert rows == [item.number for item in checklist.items]
        assert checklist.title in paper
        for item in checklist.items:
            assert f"{item.number} {item.about}" in paper
