"""The HTML report: nothing from outside, nothing hostile alive, the evaluation's own figures."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser

import plotly.io
import pytest

from medmeta.evaluation.cases import worst_mistakes
from medmeta.evaluation.result import Evaluation
from medmeta.evaluation.serialise import to_json
from medmeta.reports import words
from medmeta.reports.html import html_report

_LOADING = {"src", "href", "srcset", "data", "poster", "action", "background", "formaction", "xlink:href"}


class Page(HTMLParser):
    """Elements with their attributes, text outside and inside scripts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        self._inside = tag if tag in {"script", "style"} else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif self._inside == "style":
            self.styles.append(data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


@pytest.fixture
def page(evaluation: Evaluation, png: bytes) -> Page:
    first = worst_mistakes(evaluation)[0]
    return Page(html_report(evaluation, thumbnails={first.scan_id: png, "near0": b"GIF89a no png"}))


def test_nothing_is_loaded_from_outside(page: Page) -> None:
    for tag, attrs in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for name in _LOADING & set(attrs):
            assert (attrs[name] or "").startswith(("data:image/png;base64,", "#")), (tag, name)
        assert not any(name.startswith("on") for name in attrs), tag
    assert not any("url(" in style or "@import" in style for style in page.styles)


def test_only_our_two_scripts_may_run(page: Page) -> None:
    policies = [a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv")]
    assert len(policies) == 1
    policy = policies[0] or ""
    assert "default-src 'none'" in policy
    script_rule = next(rule for rule in policy.split("; ") if rule.startswith("script-src"))
    assert "unsafe" not in script_rule
    running = [text for attrs, text in page.scripts if attrs.get("type") != "application/json"]
    assert len(running) == 2
    for text in running:
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in script_rule


def test_hostile_names_are_text(page: Page) -> None:
    assert "A task <script>alert(2)</script>" in page.text
    assert not any(
        "alert(" in text and attrs.get("type") is None and len(text) < 1000 for attrs, text in page.scripts
    )
    assert not any(tag in {"b", "i"} for tag, _ in page.elements)
    assert all((attrs["href"] or "").startswith("#") for tag, attrs in page.elements if tag == "a")
    assert "A note with <i>markup</i>." in page.text


def test_figures_in_the_report_equal_the_json(page: Page, evaluation: Evaluation) -> None:
    data = to_json(evaluation)
    count = data["patients"]
    assert f"{count['correct']} of {count['n']} patients right" in page.text
    low, high = count["interval"]
    assert f"95 % interval {low * 100:.0f} to {high * 100:.0f} %" in page.text
    assert f"Balanced accuracy {data['balanced_accuracy'] * 100:.0f} %" in page.text
    assert f"AUROC {data['auroc']:.2f}" in page.text
    for item in data["per_class"]:
        assert f"{item['n_groups']} {item['n_scans']} {item['sensitivity'] * 100:.0f} %" in page.text
    scripts = {attrs["id"]: json.loads(text) for attrs, text in page.scripts if attrs.get("id")}
    drawn = [int(note["text"]) for note in scripts["figure-confusion"]["layout"]["annotations"]]
    assert drawn == [value for row in data["confusion"] for value in row]
    assert scripts["classes"] == data["classes"]


def test_no_id_stands_twice(page: Page) -> None:
    """A section once had the id of the script's data, which the script then could not read."""
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_every_scan_has_a_row_with_its_cell(page: Page, evaluation: Evaluation) -> None:
    cells = [attrs["data-cell"] for tag, attrs in page.elements if tag == "tr" and "data-cell" in attrs]
    n = len(evaluation.classes)
    for i in range(n):
        for j in range(n):
            assert cells.count(f"{i}-{j}") == evaluation.confusion[i][j]


def test_only_png_thumbnails_are_put_in(page: Page, png: bytes) -> None:
    pictures = [attrs["src"] for tag, attrs in page.elements if tag == "img"]
    assert pictures == [f"data:image/png;base64,{base64.b64encode(png).decode()}"]
    assert "no picture" in page.text


def test_research_use_only_stands_first_and_last(page: Page) -> None:
    assert page.text.index("Research use only") < page.text.index("MedMeta evaluation report")
    assert page.text.rindex("Research use only") > page.text.index("Checklist: TRIPOD+AI Collins")


def test_method_limits_and_provenance_are_told(page: Page, evaluation: Evaluation) -> None:
    for sentence in (*words.method(evaluation), *words.LIMITS, *words.meaning(evaluation)):
        assert sentence.replace("\u00a0", " ") in page.text
    assert "2026-01-02T03:04:05+00:00" in page.text


def test_streamlits_default_template_does_not_reach_the_report(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = html_report(evaluation)
    monkeypatch.setattr(plotly.io.templates, "default", "plotly_dark")
    assert html_report(evaluation) == plain


def test_a_perfect_evaluation_without_baselines(evaluation: Evaluation) -> None:
    cases = tuple(replace(case, predicted=case.label) for case in evaluation.cases)
    page = Page(html_report(replace(evaluation, cases=cases, comparisons=(), notes=(), auroc=None)))
    assert "No scan was wrong" in page.text
    assert "Against simple methods" not in page.text
    assert "AUROC –" in page.text
