"""The rows of the table: schema, resuming, rows that cannot be measured, unknown rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_ground import TINY, ground

from medmeta.errors import CancelledError, ModelError, TaskError
from medmeta.evaluation.result import Interval
from medmeta.training.claims.claim import Claim, ClaimResult
from medmeta.training.claims.ground import Ground
from medmeta.training.claims.table import CLAIMS, Row, chosen, run_claims

KEYS = {"claim", "text", "target", "reached", "met", "value", "interval", "n", "of", "how", "details"}


class Counting:
    def __init__(self, error: Exception | None = None) -> None:
        self.calls, self.error = 0, error

    def __call__(self, ground: Ground) -> ClaimResult:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return ClaimResult("1.0 %", True, 1.0, Interval(0.5, 1.5), 3, "tasks", "somehow")


def test_a_finished_row_is_kept_and_told(tmp_path: Path) -> None:
    measure, told = Counting(), list[Row]()
    claim = Claim("one", "the first", "1 %", measure)
    rows = run_claims(ground(tmp_path), [claim], "data", told.append)
    assert told == rows
    assert set(rows[0]) == KEYS | {"seconds", "machine", "date", "identity"}
    assert (rows[0]["interval"], rows[0]["met"]) == ([0.5, 1.5], True)
    json.dumps(rows, allow_nan=False)
    assert run_claims(ground(tmp_path), [claim], "data", told.append) == rows
    assert measure.calls == 1
    run_claims(ground(tmp_path), [claim], "other data", told.append)
    run_claims(ground(tmp_path, sizes=replace(TINY, episodes=4)), [claim], "data", told.append)
    run_claims(ground(tmp_path, seed=1), [claim], "data", told.append)
    assert measure.calls == 4


def test_a_row_that_fails_says_why_and_is_tried_again(tmp_path: Path) -> None:
    failing, fine = Counting(ModelError("maml needs weights")), Counting()
    claims = [Claim("bad", "", "", failing), Claim("good", "", "", fine)]
    for _ in range(2):
        rows = run_claims(ground(tmp_path), claims, "data", lambda row: None)
    assert (rows[0]["met"], rows[0]["reached"], rows[0]["how"]) == (
        None,
        "not measured",
        "maml needs weights",
    )
    assert rows[1]["met"] is True
    assert (failing.calls, fine.calls) == (2, 1)


def test_stopping_stops(tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        run_claims(
            ground(tmp_path), [Claim("a", "", "", Counting(CancelledError("stop")))], "", lambda row: None
        )


def test_rows_are_those_of_the_design() -> None:
    assert list(CLAIMS) == [
        "over_maml",
        "convergence",
        "near_domain",
        "lung",
        "adaptation",
        "sampler",
        "search",
    ]
    assert [claim.name for claim in chosen(["search", "lung"])] == ["lung", "search"]
    assert len(chosen([])) == 7
    with pytest.raises(TaskError, match=r"no row is called nothing; there are: over_maml, .*search"):
        chosen(["lung", "nothing"])
