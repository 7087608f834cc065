"""Sections for deciding: another threshold and its worth, declining, whether probabilities hold, and more scans."""

from __future__ import annotations

from medmeta.evaluation.decision import (
    ABSTENTION_PATIENTS,
    abstention_curve,
    threshold_point,
    threshold_rates,
    why_no_abstention,
    why_no_threshold,
)
from medmeta.evaluation.further import MINIMA, PREVALENCE
from medmeta.evaluation.learning_curve import why_no_curve
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, Evaluation, Growth
from medmeta.reports import decision, words
from medmeta.reports.learning_curve import CURVE_HELP, learning_curve_figure, more_scans_words
from medmeta.reports.section import Chart, Part, Section, Table, Text

#: Thresholds the report lists, fewer where there are many classes; the workbench has a slider for all.
THRESHOLDS, FEWER, MANY_CLASSES = (0.1, 0.3, 0.5, 0.7), (0.1, 0.5), 4


def decision_sections(evaluation: Evaluation) -> tuple[Section, ...]:
    return _threshold(evaluation), _declining(evaluation), _reliability(evaluation)


def _threshold(evaluation: Evaluation) -> Section:
    title = "What another threshold would change"
    reasons = {label: why_no_threshold(evaluation.cases, label) for label in evaluation.classes}
    known = [label for label, reason in reasons.items() if reason is None]
    withheld = tuple(f"{label}: not shown, it {reason}." for label, reason in reasons.items() if reason)
    if not known:
        return Section("threshold", title, (Text(withheld, muted=True),))
    rows = []
    for label in known:
        for threshold in THRESHOLDS if len(known) <= MANY_CLASSES else FEWER:
            point = threshold_point(evaluation.cases, evaluation.classes, label, threshold, PREVALENCE)
            rates = threshold_rates(point, evaluation.cases, label)
            worth = decision.benefit_rows(point)
            rows.append(
                (
                    label,
                    words.percent(threshold),
                    f"{point.true_calls} of {point.true_calls + point.missed}",
                    words.span(rates.sensitivity_interval),
                    f"{point.false_calls} of {point.false_calls + point.spared}",
                    words.span(rates.specificity_interval),
                    worth[0][1],
                    worth[1][1],
                )
            )
    head = (
        "Class",
        "Called from",
        "Found",
        "Sensitivity, 95 % interval",
        "Wrongly called",
        "Specificity, 95 % interval",
        "Net benefit",
        "of calling all",
    )
    parts: list[Part] = [
        Text(
            (
                "One class against the rest: from which probability on it is called, what that finds and what it "
                "wrongly calls, in scans. Net benefit is true calls less false ones per 100 people examined of whom "
                f"{100 * PREVALENCE:g} have the class, false ones weighed as the threshold says; calling nobody is 0.",
            ),
            muted=True,
        ),
        Chart(
            "net_benefit",
            decision.net_benefit_figure(evaluation, known, PREVALENCE),
            "Net benefit of calling each class from a threshold on, beside calling everybody and nobody; values at "
            "some thresholds stand in the table below",
        ),
        Table(head, tuple(rows), (1, 2, 3, 4, 5, 6, 7), (36, 17, 19, 26, 19, 26, 17, 17), title),
        Text((decision.FLATTERED, *withheld), muted=True),
    ]
    return Section("threshold", title, tuple(parts))


def _declining(evaluation: Evaluation) -> Section:
    title = "If it only answered when sure"
    why = why_no_abstention(evaluation.cases)
    if why is not None:
        return Section("abstention", title, (Text((f"Not shown: it {why}.",), muted=True),))
    curve = abstention_curve(evaluation.cases, evaluation.classes)
    fewest = ABSTENTION_PATIENTS // 2
    shown = [point for point in curve if point.answered >= fewest]
    # The ends and about five points between them; the curve has them all.
    step = max(1, (len(shown) - 1) // 6)
    listed = [*shown[:-1:step], shown[-1]] if len(shown) > 1 else shown
    rows = tuple(
        (
            words.percent(point.threshold),
            f"{point.answered} of {curve[0].answered}",
            f"{point.right} of {point.answered}",
            words.span(point.interval),
        )
        for point in listed
    )
    return Section(
        "abstention",
        title,
        (
            Text(
                (
                    "From left to right the model declines more of the patients it is least sure of. Where the line "
                    "rises, its doubt is worth listening to. Bars are exact 95 % intervals.",
                ),
                muted=True,
            ),
            Chart(
                "abstention",
                decision.abstention_figure(curve, fewest),
                "Share of patients answered, and of those right; the values stand in the table below",
            ),
            Table(
                ("Answers from", "Patients answered", "Right among them", "95 % interval"),
                rows,
                (1, 2, 3),
                (40, 46, 46, 46),
                title,
            ),
        ),
    )


def _reliability(evaluation: Evaluation) -> Section:
    title = "Is it as often right as it is sure?"
    if not evaluation.reliability:
        least = MINIMA["calibration error"]
        why = f"Not shown: it needs {least.n} patients, found {evaluation.n_groups}: {least.why}."
        return Section("reliability", title, (Text((why,), muted=True),))
    rows = tuple(
        (words.percent(point.confidence), words.percent(point.right), str(point.n_scans))
        for point in evaluation.reliability
    )
    return Section(
        "reliability",
        title,
        (
            Text(
                (
                    "On the dotted line, answers given at 80 % are right 8 times in 10; below it the model is surer "
                    "than it should be.",
                ),
                muted=True,
            ),
            Chart(
                "reliability",
                decision.reliability_figure(evaluation.reliability),
                "How sure the answers were, and how often they were right; the values stand in the table below",
            ),
            Table(
                ("Mean probability of the answer", "Answers right", "Scans"),
                rows,
                (1, 2),
                (70, 50, 50),
                title,
            ),
        ),
    )


def more_scans_section(evaluation: Evaluation) -> Section:
    """Whether more scans would help, and of which class."""
    title, curve = "Would more scans help?", evaluation.curve
    if curve is None:
        own = evaluation.protocol == LEAVE_ONE_GROUP_OUT
        why = why_no_curve([item.n_groups for item in evaluation.per_class], left_out=True) if own else None
        return Section(
            "more-scans", title, (Text((f"Not measured: it {why}." if why else "Not measured.",)),)
        )
    return Section(
        "more-scans",
        title,
        (
            Text((more_scans_words(curve),)),
            Text((CURVE_HELP,), muted=True),
            Chart(
                "more_scans",
                learning_curve_figure(curve),
                "Share of left-out patients right against the patients of a class learned from",
            ),
            Table(
                ("What grows", "What is counted", "With half", "With all", "Gain in points", "95 % interval"),
                tuple(_growth_row(growth) for growth in curve.growths),
                (2, 3, 4, 5),
                (44, 40, 22, 22, 22, 28),
                title,
            ),
        ),
    )


def _growth_row(growth: Growth) -> tuple[str, ...]:
    most = growth.points[-1].shots
    half = next(point for point in growth.points if point.shots == -(-most // 2))
    return (
        f"patients of {growth.of}" if growth.of else "all classes",
        growth.figure,
        words.percent(half.share),
        words.percent(growth.points[-1].share),
        words.signed(growth.gain),
        words.points(growth.gain_interval),
    )
