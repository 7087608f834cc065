"""Sections that say why: the worst mistakes, labels in doubt, and which scans look alike to the model."""

from __future__ import annotations

from medmeta.evaluation.cases import label_probability, worst_mistakes
from medmeta.evaluation.result import Case, Evaluation
from medmeta.reports import evidence, words
from medmeta.reports.scan_map import MAP_HELP, MAP_MARKS, map_figure, map_words
from medmeta.reports.section import Card, Cards, Chart, Part, Section, Text

#: Mistakes shown with their pictures, and look-alikes beside each.
MISTAKES, NEAREST = 6, 3


def why_sections(evaluation: Evaluation) -> tuple[Section, ...]:
    return _mistakes(evaluation), _suspects(evaluation), _map(evaluation)


def _mistakes(evaluation: Evaluation) -> Section:
    mistakes = worst_mistakes(evaluation, MISTAKES)
    parts: tuple[Part, ...] = (
        Text(("No scan was wrong. See the notes for what to check before trusting that.",)),
    )
    if mistakes:
        parts = (
            Text(
                (
                    "Wrong answers the model was surest of, each with the scans it had adapted on that look most "
                    "like it.",
                ),
                muted=True,
            ),
            Cards(tuple(_mistake(case, evaluation) for case in mistakes)),
        )
    return Section("mistakes", "Worst mistakes", parts, question="Why?")


def _mistake(case: Case, evaluation: Evaluation) -> Card:
    chance = case.probabilities[evaluation.classes.index(case.predicted)]
    text = (
        f"Labelled {case.label}, taken for {case.predicted} with probability {words.percent(chance)}; "
        f"the label got {words.percent(label_probability(case, evaluation.classes))}."
    )
    return Card(
        case.scan_id,
        case.file,
        text + (" The model declined this scan." if case.abstained else ""),
        case.nearest[:NEAREST],
    )


def _suspects(evaluation: Evaluation) -> Section:
    parts: tuple[Part, ...] = ()
    if evaluation.suspects:
        named = [Card(item.scan_id, item.file, evidence.disputed(item)) for item in evaluation.suspects]
        parts = (Text((evidence.SUSPECTS_HELP,), muted=True), Cards(tuple(named)))
    if evaluation.movers:
        most = [Card(item.scan_id, item.file, evidence.moving(item)) for item in evaluation.movers]
        parts = (*parts, Text((f"Scans that decide most. {evidence.MOVERS_HELP}",)), Cards(tuple(most)))
    return Section("suspects", "Labels worth a second look", parts)


def _map(evaluation: Evaluation) -> Section:
    if evaluation.map is None:
        return Section("map", "Which scans look alike", ())
    parts = (
        Text((MAP_HELP,), muted=True),
        Chart(
            "map",
            map_figure(evaluation, evaluation.map),
            "Map of the scans by how alike they look to the model",
        ),
        Text((f"{MAP_MARKS} {map_words(evaluation.map)}",), muted=True),
    )
    return Section("map", "Which scans look alike", parts)
