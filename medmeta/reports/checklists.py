"""The reporting checklists of an evaluation, filled as far as the program knows."""

from __future__ import annotations

from typing import Any

from medmeta.evaluation.result import Evaluation
from medmeta.reports.checklist import Answer, Checklist, answer
from medmeta.reports.checklist_claim import CLAIM
from medmeta.reports.checklist_tripod import TRIPOD

CHECKLISTS: tuple[Checklist, ...] = (CLAIM, TRIPOD)


def filled(checklist: Checklist, evaluation: Evaluation) -> tuple[Answer, ...]:
    return tuple(answer(item, evaluation) for item in checklist.items)


def checklists_json(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Plain values for JSON: each checklist with its items, their state and what is filled in."""
    return [
        {
            "title": checklist.title,
            "source": checklist.source,
            "notes": list(checklist.notes),
            "items": [
                {"item": a.item.number, "about": a.item.about, "status": a.status, "value": a.value}
                for a in filled(checklist, evaluation)
            ],
        }
        for checklist in CHECKLISTS
    ]
