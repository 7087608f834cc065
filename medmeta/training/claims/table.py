"""The rows of the table, one after the other: each is kept when done, and one that fails says why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from medmeta import __version__
from medmeta.errors import CancelledError, MedMetaError, TaskError
from medmeta.evaluation.machine import machine
from medmeta.training import checkpoint
from medmeta.training.claims import (
    adaptation,
    architecture,
    convergence,
    lung,
    near_domain,
    over_maml,
    sampler,
)
from medmeta.training.claims.claim import Claim
from medmeta.training.claims.few_shot import weights_of
from medmeta.training.claims.ground import Ground

#: In the order of the table.
CLAIMS: Mapping[str, Claim] = MappingProxyType(
    {
        each.name: each
        for each in (
            over_maml.CLAIM,
            convergence.CLAIM,
            near_domain.CLAIM,
            lung.CLAIM,
            adaptation.CLAIM,
            sampler.CLAIM,
            architecture.CLAIM,
        )
    }
)
Row = dict[str, Any]


def chosen(names: Sequence[str]) -> list[Claim]:
    """The claims of those names, all of them for none.

    Raises:
        TaskError: there is no such row; the text names those that there are.
    """
    unknown = [name for name in names if name not in CLAIMS]
    if unknown:
        raise TaskError(f"no row is called {', '.join(unknown)}; there are: {', '.join(CLAIMS)}")
    return [claim for claim in CLAIMS.values() if not names or claim.name in names]


def run_claims(ground: Ground, claims: Sequence[Claim], data: str, tell: Callable[[Row], None]) -> list[Row]:
    """Measure the claims, or take up what ``ground.out`` holds of the same run.

    Args:
        ground: what to measure on.
        claims: rows, in order.
        data: hash of the data sets as they were given.
        tell: given every row when it is done.

    Returns:
        a row a claim: ``claim``, ``text``, ``target``, ``reached``, ``met`` (None where it could not be measured),
        ``value``, ``interval``, ``n``, ``of``, ``how``, ``details``, ``seconds``, ``machine``, ``date``,
        ``identity``.

    Raises:
        CancelledError: the ground's progress asked to stop; finished rows are kept.
    """
    rows = []
    for claim in claims:
        identity = _identity(ground, claim, data)
        path = ground.out / "rows" / f"{claim.name}-{identity[:12]}.json"
        row = _kept(path) or _measured(ground, claim, identity)
        if row["met"] is not None:  # what could not be measured is tried again
            path.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.write_lines(path, [row])
        tell(row)
        rows.append(row)
    return rows


def _measured(ground: Ground, claim: Claim, identity: str) -> Row:
    began = time.perf_counter()
    about = {"claim": claim.name, "text": claim.text, "target": claim.target}
    try:
        result = asdict(claim.measure(ground))
        interval = result["interval"]
        result["interval"] = None if interval is None else [interval["low"], interval["high"]]
    except CancelledError:
        raise
    except (MedMetaError, OSError, RuntimeError) as error:
        result = {
            "reached": "not measured",
            "met": None,
            "value": None,
            "interval": None,
            "n": 0,
            "of": "",
            "how": str(error) or type(error).__name__,
            "details": {},
        }
    return {
        **about,
        **result,
        "seconds": round(time.perf_counter() - began, 1),
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "identity": identity,
    }


def _identity(ground: Ground, claim: Claim, data: str) -> str:
    """Hash of all that decides a row besides the code and the machine."""
    near = ground.near_trunk
    return checkpoint.config_hash(
        {
            "claim": claim.name,
            "medmeta": __version__,
            "sizes": asdict(ground.sizes),
            "seed": ground.seed,
            "data": data,
            "backbone": ground.extractor.backbone.sha256,
            "weights": [weights_of(name) for name in claim.learners],
            "near_trunk": None if near is None else [str(near), near.exists() and near.stat().st_mtime_ns],
        }
    )


def _kept(path: Path) -> Row | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "met" in found else None
