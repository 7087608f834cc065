"""Tables of a few-shot run, cell by cell."""

from __future__ import annotations

import re
from typing import Any

import pytest

from medmeta.reports.few_shot_table import as_markdown, as_text, few_shot_tables


@pytest.fixture
def document() -> dict[str, Any]:
    def result(data: str, learner: str, mean: float, n: int = 600) -> dict[str, Any]:
        ci95 = None if n == 1 else [mean - 0.004, mean + 0.004]
        return {
            "data": data,
            "shots": 5,
            "learner": learner,
            "accuracy_mean": mean,
            "ci95": ci95,
            "n_episodes": n,
        }

    return {
        "settings": {"shots": [5], "ways": "all", "queries": 15, "episodes": 600, "seed": 3},
        "results": [
            result("lung", "anchor", 0.8514),
            result("lung", "maml", 0.772, 100),
            result("chest|x", "anchor", 0.6691),
            result("chest|x", "maml", 0.5, 1),
        ],
        "paired": [
            {
                "data": "lung",
                "shots": 5,
                "learner": "anchor",
                "against": "maml",
                "difference": 0.0794,
                "ci95": [0.071, 0.0878],
                "ci95_patients": [-0.0001, 0.16],
                "n_episodes": 100,
            },
            {
                "data": "chest|x",
                "shots": 5,
                "learner": "anchor",
                "against": "maml",
                "difference": -0.0123,
                "ci95": None,
                "ci95_patients": None,
                "n_episodes": 1,
            },
        ],
        "paired_all": [
            {
                "shots": 5,
                "learner": "anchor",
                "against": "maml",
                "difference": 0.0336,
                "ci95_datasets": [-0.549, 0.616],
                "ci95_bootstrap": [-0.0123, 0.0794],
            }
        ],
        "machine": "Abacus 9, 2 cores",
        "date": "2030-01-02T03:04:05+00:00",
        "versions": {"medmeta": "0.1.0", "torch": "2.13.0"},
    }


def test_cells(document: dict[str, Any]) -> None:
    accuracy, paired, overall = few_shot_tables(document)
    assert accuracy.header == ("learner", "lung", "chest|x")
    assert accuracy.rows == (
        ("anchor", "85.1 ± 0.4", "66.9 ± 0.4"),
        ("maml", "77.2 ± 0.4 (100 episodes)", "50.0 (1 episodes)"),
    )
    assert paired.rows == (
        ("maml", "lung", "+7.9", "+7.1 to +8.8", "+0.0 to +16.0", "100"),
        ("maml", "chest|x", "-1.2", "too few", "too few", "1"),
    )
    assert overall.rows == (("maml", "+3.4", "-54.9 to +61.6", "-1.2 to +7.9"),)
    assert "anchor minus" in paired.title
    assert "5-shot accuracy in %, all classes, 15 queries a class, 600 episodes" in accuracy.title


def test_one_set_of_tables_for_each_number_of_shots(document: dict[str, Any]) -> None:
    more = [{**row, "shots": 1} for row in document["results"]]
    document["settings"]["shots"], document["results"] = [1, 5], more + document["results"]
    titles = [table.title[:6] for table in few_shot_tables(document)]
    assert titles == ["1-shot", "5-shot", "5-shot", "5-shot"]  # 1-shot has no pairs here
    document["settings"]["ways"] = 2
    assert "2 ways" in as_text(document)


def test_text_is_aligned_and_says_what_ran_where(document: dict[str, Any]) -> None:
    text = as_text(document)
    head, anchor = text.splitlines()[1:3]
    assert head.index("lung") + len("lung") == anchor.index("85.1 ± 0.4") + len("85.1 ± 0.4")
    assert "Abacus 9, 2 cores; medmeta 0.1.0, torch 2.13.0; seed 3; 2030-01-02" in text


def test_markdown_rows_have_as_many_cells_as_their_header(document: dict[str, Any]) -> None:
    markdown = as_markdown(document)
    for block in markdown.split("\n\n"):
        rows = [re.split(r"(?<!\\)\|", line) for line in block.splitlines() if line.startswith("|")]
        assert len({len(row) for row in rows}) <= 1
    assert "| learner | lung | chest\\|x |\n| --- | ---: | ---: |\n| anchor | 85.1 ± 0.4 |" in markdown
    assert "| minus | data | difference |" in markdown
    assert "seed 3" in markdown
