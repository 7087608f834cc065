"""The card of the model that was evaluated, as far as the weights installed here are those it ran on."""

from __future__ import annotations

from typing import Any

from medmeta.evaluation.result import Evaluation
from medmeta.learners.cards import weight_cards
from medmeta.learners.titles import learner_title
from medmeta.notice import RESEARCH_USE_ONLY


def card_pairs(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    """Names and values of the card; other weights than those of the evaluation are named by their hash alone."""
    used = [str(line) for line in evaluation.provenance.get("weights", ())]
    pairs = [("Method", learner_title(evaluation.learner)), ("Intended use", RESEARCH_USE_ONLY)]
    for name, card in weight_cards(evaluation.learner).items():
        if f"{name} {card.get('sha256')}" in used:
            pairs += [(f"{name}: {what}", text) for what, text in _facts(card)]
    pairs += [("Weights (SHA-256)", line) for line in used]
    return tuple(pairs)


def _facts(card: dict[str, Any]) -> list[tuple[str, str]]:
    sets = card.get("training_sets")
    if isinstance(sets, dict):
        trained = "; ".join(f"{name} ({licence})" for name, licence in sets.items())
    else:
        trained = str(card.get("training_data", ""))
    facts = [
        ("what it is", str(card.get("what", ""))),
        ("trained on", trained),
        ("input", str(card.get("input", ""))),
        ("limits", "; ".join(map(str, card.get("limits", ())))),
        ("licence", str(card.get("licence", ""))),
    ]
    left_out = card.get("left_out_accuracy")
    if isinstance(left_out, dict):
        told = ", ".join(f"{name} {100 * float(value):.1f} %" for name, value in left_out.items())
        facts.append(("accuracy on training sets left out whole (5 scans a class)", told))
    return [(what, text) for what, text in facts if text]
