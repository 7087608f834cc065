"""The sections of a report, in the order a clinician asks: is it good, for whom not, why, what now.

A new section is one function here, named in :func:`sections`; the HTML page and the PDF need to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from medmeta.evaluation.cases import label_probability, sorted_by_worst
from medmeta.evaluation.result import Evaluation
from medmeta.learners.titles import learner_title
from medmeta.reports import evidence, figures, words
from medmeta.reports.checklists import CHECKLISTS, filled
from medmeta.reports.model_card import card_pairs
from medmeta.reports.repeated_folds import REPEATS_HELP, repeats_figure, repeats_words
from medmeta.reports.section import Chart, Matrix, Pairs, Part, Points, Section, Table, Text
from medmeta.reports.sections_decision import decision_sections, more_scans_section
from medmeta.reports.sections_why import why_sections


def sections(evaluation: Evaluation) -> tuple[Section, ...]:
    """Every section below the headline; one without anything to say is not there."""
    found = (
        _notes(evaluation),
        _cohort(evaluation),
        _comparisons(evaluation),
        _matrix(evaluation),
        _classes(evaluation),
        _ranking(evaluation),
        _repeated(evaluation),
        *decision_sections(evaluation),
        _further(evaluation),
        *why_sections(evaluation),
        _cases(evaluation),
        replace(more_scans_section(evaluation), question="What now?"),
        Section("next", "Next steps", (Points(evidence.next_steps(evaluation), "numbered"),)),
        Section("method", "How it was measured", (Text(words.method(evaluation)),)),
        Section("limits", "Limits", (Points(words.LIMITS),)),
        _card(evaluation),
        Section("provenance", "Where it comes from", (Pairs(words.provenance_items(evaluation.provenance)),)),
        *_checklists(evaluation),
    )
    return tuple(section for section in found if section.parts)


def _notes(evaluation: Evaluation) -> Section:
    parts = (Points(evaluation.notes, "warning"),) if evaluation.notes else ()
    return Section("notes", "Read this with the figures", parts)


def _cohort(evaluation: Evaluation) -> Section:
    return Section(
        "cohort",
        "What it was about",
        (
            Pairs(
                (
                    ("Task", evaluation.task),
                    ("Classes", ", ".join(evaluation.classes)),
                    (
                        "Adapted on",
                        f"{words.scans(evaluation.n_support)} of {words.patients(evaluation.n_support_groups)}",
                    ),
                    (
                        "Tested on",
                        f"{words.scans(len(evaluation.cases))} of {words.patients(evaluation.n_groups)}",
                    ),
                    ("Tested by", evaluation.protocol),
                    (
                        "Modality (scans)",
                        ", ".join(evaluation.provenance.get("modalities", ())) or "not recorded",
                    ),
                )
            ),
        ),
    )


def _comparisons(evaluation: Evaluation) -> Section:
    def row(learner: str, *rest: str) -> tuple[str, ...]:
        return (learner_title(learner), *rest)

    rows = [
        row(
            evaluation.learner,
            f"{evaluation.patients.correct} of {evaluation.patients.n}",
            words.span(evaluation.patients.interval),
            words.percent(evaluation.balanced_accuracy),
            "",
            "",
        )
    ]
    rows += [
        row(
            item.learner,
            f"{item.patients.correct} of {item.patients.n}",
            words.span(item.patients.interval),
            words.percent(item.balanced_accuracy),
            f"{words.signed(item.difference)} points",
            words.points(item.difference_interval),
        )
        for item in evaluation.comparisons
    ]
    head = (
        "Method",
        "Patients right",
        "95 % interval",
        "Balanced accuracy",
        "This model minus it",
        "95 % interval",
    )
    parts: tuple[Part, ...] = (
        Text(
            ("Simple methods on the same patients. If they do as well, nothing is gained by more.",),
            muted=True,
        ),
        Chart(
            "comparison",
            figures.comparison_figure(evaluation),
            "Patients right by each method; the same numbers stand in the table below",
            screen=True,
        ),
        Table(head, tuple(rows), (1, 2, 3, 4, 5), (54, 22, 26, 22, 26, 26), "Patients right by each method"),
    )
    return Section("comparisons", "Against simple methods", parts if evaluation.comparisons else ())


def _matrix(evaluation: Evaluation) -> Section:
    return Section(
        "confusion",
        "What was taken for what",
        (
            Text(("Rows are the true labels, columns the model’s answers, in scans.",), muted=True),
            Chart(
                "confusion",
                figures.confusion_figure(evaluation),
                "Confusion matrix; the same numbers stand in the table below",
                screen=True,
            ),
            Matrix(evaluation.classes, evaluation.confusion),
        ),
        question="For whom not?",
    )


def _classes(evaluation: Evaluation) -> Section:
    head = (
        "Class",
        "Patients",
        "Scans",
        "Sensitivity",
        "95 % interval",
        "Specificity",
        "95 % interval",
        "AUROC",
        "95 % interval",
    )
    rows = tuple(
        (
            item.label,
            str(item.n_groups),
            str(item.n_scans),
            words.percent(item.sensitivity),
            words.span(item.sensitivity_interval),
            words.percent(item.specificity),
            words.span(item.specificity_interval),
            words.decimal(item.auroc),
            words.auroc_span(evaluation, item.label),
        )
        for item in evaluation.per_class
    )
    return Section(
        "each-class",
        "Each class",
        (
            Chart(
                "per_class",
                figures.per_class_figure(evaluation),
                "Sensitivity and specificity of each class; the same numbers stand in the table below",
                screen=True,
            ),
            Table(
                head,
                rows,
                (1, 2, 3, 4, 5, 6, 7, 8),
                (34, 16, 13, 20, 24, 20, 24, 15, 24),
                "Sensitivity, specificity and AUROC of each class",
            ),
        ),
    )


def _ranking(evaluation: Evaluation) -> Section:
    areas = ", ".join(f"{item.label} {words.decimal(item.auroc)}" for item in evaluation.per_class)
    return Section(
        "roc",
        "How well it ranks",
        (
            Text(
                (
                    "ROC curves: scans of a class found against others wrongly called it, as the threshold moves. "
                    "The diagonal is guessing.",
                ),
                muted=True,
            ),
            Chart("roc", figures.roc_figure(evaluation), f"ROC curves; areas under them: {areas}"),
        ),
    )


def _repeated(evaluation: Evaluation) -> Section:
    title, found = "Does it depend on whom it learned from?", evaluation.repeated
    if found is None:
        return Section("repeated", title, ())
    parts = (
        Points(repeats_words(found)),
        Chart("repeated", repeats_figure(found, evaluation.classes), "How often each patient was right"),
        Text((REPEATS_HELP,), muted=True),
    )
    return Section("repeated", title, parts)


def _further(evaluation: Evaluation) -> Section:
    rows = evidence.figure_rows(evaluation)
    if not rows:
        return Section("further", "More figures", ())
    # Said once: with many classes the same words would fill pages.
    first = {row.name: row for row in reversed(rows) if row.value != "–"}
    given = tuple(
        (row.name, row.of or "all", row.value, row.interval, row.plain if row is first[row.name] else "")
        for row in rows
        if row.value != "–"
    )
    withheld: dict[str, list[str]] = {}
    for row in rows:
        if row.value == "–":
            withheld.setdefault(row.plain, []).append(f"{row.name} of {row.of}" if row.of else row.name)
    parts: list[Part] = [Text(("Intervals count patients.",), muted=True)]
    if given:
        head = ("Figure", "Class", "Value", "95 % interval", "In plain words")
        parts.append(Table(head, given, (2, 3), (46, 32, 18, 28, 60), "Further figures"))
    if withheld:
        told = (f"{'; '.join(names)}. {reason}" for reason, names in withheld.items())
        parts.append(Text(tuple(told), muted=True))
    return Section("further", "More figures", tuple(parts))


def _cases(evaluation: Evaluation) -> Section:
    """On the screen only: on paper two hundred scans would be pages nobody reads."""
    classes = evaluation.classes
    rows, cells = [], []
    for case in sorted_by_worst(evaluation):
        predicted = classes.index(case.predicted)
        cells.append(f"{classes.index(case.label)}-{predicted}")
        rows.append(
            (
                case.file,
                case.group,
                case.label,
                f"{'✓' if case.correct else '✗'} {case.predicted}",
                words.percent(case.probabilities[predicted]),
                words.percent(label_probability(case, classes)),
                words.decimal(case.out_of_domain),
                "yes" if case.abstained else "",
            )
        )
    head = ("File", "Patient", "Label", "Answer", "Probability", "of the label", "Unlike support", "Declined")
    table = Table(
        head,
        tuple(rows),
        (4, 5, 6),
        (1,) * len(head),
        "Every scan, the surest mistake first. Unlike support: distance to the scans adapted on, above 1.5 unlike them",
        cells=tuple(cells),
        screen=True,
    )
    return Section("cases", "Every scan", (table,))


def _card(evaluation: Evaluation) -> Section:
    pairs = card_pairs(evaluation)
    return Section("model-card", "The model", (Pairs(pairs),) if pairs else ())


def _checklists(evaluation: Evaluation) -> Iterator[Section]:
    for checklist in CHECKLISTS:
        rows = tuple(
            (answer.item.number, answer.item.about, answer.status, answer.value)
            for answer in filled(checklist, evaluation)
        )
        yield Section(
            checklist.key,
            checklist.title,
            (
                Text((checklist.source, *checklist.notes), muted=True),
                Table(
                    ("Item", "What it asks for", "State", "Filled in"),
                    rows,
                    (),
                    (11, 54, 34, 81),
                    checklist.title,
                ),
            ),
            appendix=True,
        )
