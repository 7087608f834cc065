"""Every figure of the HTML and of the PDF is one of the JSON's, and every one of the JSON's is there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from helpers import read_pdf

from medmeta.evaluation.decision import threshold_point
from medmeta.evaluation.further import PREVALENCE, further_figures, reliability_points
from medmeta.evaluation.result import CurvePoint, Evaluation, Growth, Interval, LearningCurve
from medmeta.evaluation.serialise import to_json
from medmeta.reports.html import html_report
from medmeta.reports.pdf import pdf_report


class Tables(HTMLParser):
    """Rows of text of every table, by the id of the section it stands in."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: dict[str, list[list[str]]] = {}
        self._section, self._inside = "", False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self._section = dict(attrs).get("id") or ""
        elif tag == "tr":
            self.rows.setdefault(self._section, []).append([])
        elif tag in {"th", "td"}:
            self._inside = True
            self.rows[self._section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"th", "td"}:
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[self._section][-1][-1] += data


@pytest.fixture(scope="module")
def complete(build_evaluation_module: Callable[..., Evaluation]) -> Evaluation:
    plain = build_evaluation_module(("normal", "viral", "bacterial"), patients=20)
    return replace(
        plain,
        further=further_figures(plain.cases, plain.classes, seed=0),
        reliability=reliability_points(plain.cases, plain.classes),
        curve=LearningCurve(tuple(_growth(i, of) for i, of in enumerate(("", *plain.classes))), 4, 60),
    )


def _growth(number: int, of: str) -> Growth:
    points = tuple(
        CurvePoint(shots, 0.4 + 0.06 * shots + 0.01 * number, Interval(0.3, 0.9)) for shots in (1, 2, 4)
    )
    gain = points[2].share - points[1].share
    return Growth("balanced accuracy", of, points, gain, Interval(gain - 0.05, gain + 0.07))


@pytest.fixture(scope="module")
def saved(complete: Evaluation) -> dict[str, Any]:
    return dict(json.loads(json.dumps(to_json(complete))))


@pytest.fixture(scope="module")
def tables(complete: Evaluation) -> dict[str, list[list[str]]]:
    return Tables(html_report(complete)).rows


@pytest.fixture(scope="module")
def paper(complete: Evaluation) -> str:
    return read_pdf(pdf_report(complete)).replace("\xa0", " ")


def share(value: float) -> str:
    return f"{100 * value:.0f} %"


def span(pair: list[float]) -> str:
    return f"{100 * pair[0]:.0f} to {100 * pair[1]:.0f} %"


def spaced(rows: list[list[str]]) -> list[list[str]]:
    return [[cell.replace("\xa0", " ").strip() for cell in row] for row in rows]


def test_each_class(saved: dict[str, Any], tables: dict[str, list[list[str]]], paper: str) -> None:
    areas = {each["of"]: each["interval"] for each in saved["further"] if each["name"] == "AUROC"}
    expected = [
        [
            item["label"],
            str(item["n_groups"]),
            str(item["n_scans"]),
            share(item["sensitivity"]),
            span(item["sensitivity_interval"]),
            share(item["specificity"]),
            span(item["specificity_interval"]),
            f"{item['auroc']:.2f}",
            "{:.2f} to {:.2f}".format(*areas[item["label"]]),
        ]
        for item in saved["per_class"]
    ]
    assert spaced(tables["each-class"])[1:] == expected
    for row in expected:
        assert " ".join(row) in paper


def test_confusion(saved: dict[str, Any], tables: dict[str, list[list[str]]], paper: str) -> None:
    expected = [
        [label, *map(str, row)] for label, row in zip(saved["classes"], saved["confusion"], strict=True)
    ]
    assert tables["confusion"][1:] == expected
    for label, row in zip(saved["classes"], saved["confusion"], strict=True):
        assert f"{label} (n = {sum(row)}) {' '.join(map(str, row))}" in paper


def test_comparisons(saved: dict[str, Any], tables: dict[str, list[list[str]]], paper: str) -> None:
    rows = spaced(tables["comparisons"])[1:]
    count = saved["patients"]
    assert rows[0][1:4] == [
        f"{count['correct']} of {count['n']}",
        span(count["interval"]),
        share(saved["balanced_accuracy"]),
    ]
    (other,) = saved["comparisons"]
    low, high = (round(100 * end) for end in other["difference_interval"])
    assert rows[1][1:] == [
        f"{other['patients']['correct']} of {other['patients']['n']}",
        span(other["patients"]["interval"]),
        share(other["balanced_accuracy"]),
        f"−{round(-100 * other['difference'])} points",
        f"−{-low} to +{high}",
    ]
    assert " ".join(rows[1][1:]).replace("−", "-") in paper


def test_further_figures(saved: dict[str, Any], tables: dict[str, list[list[str]]], paper: str) -> None:
    shares = ("patients right", "balanced accuracy", "PPV", "NPV")
    expected = []
    for figure in saved["further"]:
        if figure["value"] is None:
            continue
        if figure["name"].startswith(shares):
            value, interval = share(figure["value"]), span(figure["interval"])
        else:
            pair = figure["interval"]
            value = f"{figure['value']:.2f}"
            interval = "–" if pair is None else f"{pair[0]:.2f} to {pair[1]:.2f}".replace("-", "−")
        expected.append([figure["name"], figure["of"] or "all", value, interval])
    assert len(expected) > 15
    assert [row[:4] for row in spaced(tables["further"])[1:]] == expected
    for row in expected:
        assert " ".join(row).replace("−", "-").replace("–", "-") in paper


def test_reliability(saved: dict[str, Any], tables: dict[str, list[list[str]]], paper: str) -> None:
    expected = [
        [share(point["confidence"]), share(point["right"]), str(point["n_scans"])]
        for point in saved["reliability"]
    ]
    assert spaced(tables["reliability"])[1:] == expected
    for row in expected:
        assert " ".join(row) in paper


def test_thresholds_follow_from_the_cases(
    saved: dict[str, Any], tables: dict[str, list[list[str]]], paper: str
) -> None:
    rows = spaced(tables["threshold"])[1:]
    assert len(rows) == 4 * len(saved["classes"])
    for row in rows:
        label, threshold = row[0], int(row[1].removesuffix(" %")) / 100
        own = [c["probabilities"][label] for c in saved["per_case"] if c["label"] == label]
        others = [c["probabilities"][label] for c in saved["per_case"] if c["label"] != label]
        found, wrong = sum(p >= threshold for p in own), sum(p >= threshold for p in others)
        assert (row[2], row[4]) == (f"{found} of {len(own)}", f"{wrong} of {len(others)}")
        # Vickers and Elkin's net benefit at the stated prevalence, per 100 people.
        odds = threshold / (1 - threshold)
        benefit = 100 * (PREVALENCE * found / len(own) - (1 - PREVALENCE) * odds * wrong / len(others))
        everybody = 100 * (PREVALENCE - (1 - PREVALENCE) * odds)
        assert float(row[6].replace("−", "-")) == pytest.approx(benefit, abs=0.051)
        assert float(row[7].replace("−", "-")) == pytest.approx(everybody, abs=0.051)
        assert " ".join(row).replace("−", "-") in paper


def test_cases(saved: dict[str, Any], tables: dict[str, list[list[str]]]) -> None:
    by_file = {case["file"]: case for case in saved["per_case"]}
    rows = spaced(tables["cases"])[1:]
    assert sorted(row[0] for row in rows) == sorted(by_file)
    for file, group, label, answer, chance, of_label, unlike, declined in rows:
        case = by_file[file]
        mark = "✓" if case["label"] == case["predicted"] else "✗"
        assert (group, label, answer) == (case["group"], case["label"], f"{mark} {case['predicted']}")
        assert chance == share(case["probabilities"][case["predicted"]])
        assert of_label == share(case["probabilities"][case["label"]])
        assert unlike == f"{case['out_of_domain']:.2f}"
        assert (declined == "yes") is case["abstained"]


def test_headline_in_both(saved: dict[str, Any], complete: Evaluation, paper: str) -> None:
    html = re.sub(r"<[^>]+>", "", html_report(complete)).replace("&nbsp;", " ").replace("\xa0", " ")
    count = saved["patients"]
    for text in (" ".join(html.split()), paper):
        assert f"{count['correct']} of {count['n']} patients right" in text
        assert f"95 % interval {span(count['interval'])}" in text
        right = sum(c["label"] == c["predicted"] for c in saved["per_case"])
        assert f"{right} of {len(saved['per_case'])}" in text
        assert f"{saved['auroc']:.2f}" in text


def test_the_decision_curve_is_net_benefit(complete: Evaluation) -> None:
    scripts = dict(
        re.findall(r'<script type="application/json" id="figure-(\w+)">(.*?)</script>', html_report(complete))
    )
    drawn = {trace["name"]: trace for trace in json.loads(scripts["net_benefit"])["data"]}
    for label in complete.classes:
        trace = drawn[label]
        for x, y in list(zip(trace["x"], trace["y"], strict=True))[::20]:
            point = threshold_point(complete.cases, complete.classes, label, x, PREVALENCE)
            assert y == pytest.approx(100 * point.net_benefit)


def test_the_learning_curve(saved: dict[str, Any], tables: dict[str, list[list[str]]], paper: str) -> None:
    expected = []
    for growth in saved["curve"]["growths"]:
        low, high = (100 * edge for edge in growth["gain_interval"])
        share_of = {point["shots"]: point["share"] for point in growth["points"]}
        expected.append(
            [
                f"patients of {growth['of']}" if growth["of"] else "all classes",
                growth["figure"],
                share(share_of[2]),
                share(share_of[4]),
                f"{100 * growth['gain']:+.0f}",
                f"{low:+.0f} to {high:+.0f}",
            ]
        )
    assert spaced(tables["more-scans"])[1:] == expected
    for row in expected:
        assert " ".join(row) in paper
    assert "Would more scans help?" in paper
