"""What the figures mean in plain words; the HTML page, the PDF and the workbench say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medmeta.evaluation.cases import commonest_answer
from medmeta.evaluation.notes import quoted
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, Evaluation, Interval

#: In place of an interval that so few patients do not give.
NO_INTERVAL = "too few patients for an interval"


def percent(value: float | None) -> str:
    """``"80 %"``; a dash where the figure does not exist."""
    return "–" if value is None else f"{value * 100:.0f}\u00a0%"


def decimal(value: float | None) -> str:
    """Two decimals; a dash where the figure does not exist."""
    return "–" if value is None else f"{value:.2f}"


def span(interval: Interval | None) -> str:
    """``"52 to 96 %"``."""
    if interval is None:
        return "–"
    return f"{interval.low * 100:.0f} to {interval.high * 100:.0f}\u00a0%"


def balanced_span(evaluation: Evaluation) -> str:
    """The 95 % interval of the balanced accuracy, or that there is none."""
    found = _interval(evaluation, "balanced accuracy", "")
    return NO_INTERVAL if found is None else span(found)


def auroc_span(evaluation: Evaluation, label: str | None = None) -> str:
    """The 95 % interval of a class's AUROC, or of their mean, or that there is none.

    Of two classes both areas are the same; the mean of more has no interval of its own.
    """
    if label is None and len(evaluation.classes) != 2:
        return "an interval for each class only"
    found = _interval(evaluation, "AUROC", evaluation.classes[0] if label is None else label)
    return NO_INTERVAL if found is None else f"{decimal(found.low)} to {decimal(found.high)}"


def _interval(evaluation: Evaluation, name: str, of: str) -> Interval | None:
    return next((each.interval for each in evaluation.further if (each.name, each.of) == (name, of)), None)


def points(interval: Interval) -> str:
    """A difference's interval in percentage points, signed: ``"−12 to +31"``."""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def signed(value: float) -> str:
    """A difference in percentage points with its sign."""
    rounded = round(value * 100)
    return "0" if rounded == 0 else f"{'+' if rounded > 0 else '−'}{abs(rounded)}"


def seconds(value: float) -> str:
    """``"4.2 s"``, ``"1.5 min"``; nothing takes no time, also where the scans had been looked at before."""
    if value < 0.1:
        return "under 0.1 s"
    return f"{value:.1f} s" if value < 60 else f"{value / 60:.1f} min"


def headline(evaluation: Evaluation) -> str:
    """``"12 of 15 patients right"``."""
    return f"{evaluation.patients.correct} of {patients(evaluation.patients.n)} right"


def meaning(evaluation: Evaluation) -> tuple[str, ...]:
    """The headline in plain sentences."""
    count = evaluation.patients
    label, always = commonest_answer(evaluation.cases, evaluation.classes)
    sentences = [
        f"The model read the scans of {patients(count.n)} it had not adapted on, and was right for "
        f"{count.correct} of them.",
        "On many more patients of the same kind, from the same devices and read by the same people, the share it "
        f"gets right would plausibly lie between {percent(count.interval.low)} and {percent(count.interval.high)}.",
        f"Always answering {quoted(label)} would have been right for {always} of {count.n}.",
    ]
    found = [figures for figures in evaluation.per_class if figures.sensitivity is not None]
    if len(found) > 1:
        lowest = min(figures.sensitivity or 0.0 for figures in found)
        hardest = [figures for figures in found if figures.sensitivity == lowest]
        if len(hardest) < len(found):
            hits = {
                name: row[i]
                for i, (name, row) in enumerate(zip(evaluation.classes, evaluation.confusion, strict=True))
            }
            told = [
                f"{quoted(item.label)} ({hits[item.label]} of {scans(item.n_scans)} found)"
                for item in hardest[:3]
            ]
            sentences.append(f"Hardest {'was' if len(hardest) == 1 else 'were'} {' and '.join(told)}.")
    return tuple(sentences)


def method(evaluation: Evaluation) -> tuple[str, ...]:
    """How it was measured."""
    adapted = f"{scans(evaluation.n_support)} of {patients(evaluation.n_support_groups)}"
    if evaluation.protocol == LEAVE_ONE_GROUP_OUT:
        how = (
            f"Each of {patients(evaluation.n_groups)} was left out once: a model was adapted on the others and "
            "then read the patient left out. No patient was ever on both sides. The model that is kept adapted on "
            f"all {adapted}; the figures describe models with a little less to learn from, and least from the class of "
            "the patient left out. With few patients they therefore run low, and as the answers lean on one another, "
            "intervals are a guide and not exact."
        )
    else:
        how = (
            f"The model adapted on {adapted} and then read {scans(len(evaluation.cases))} of "
            f"{patients(evaluation.n_groups)} of a separate query set. No patient and no image is in both."
        )
    return (
        how,
        "A patient with several scans counts once, by the mean probability of the scans; one with scans of several "
        "labels is right only when each is. Intervals are Clopper and Pearson's 95 % intervals, which hold at least "
        "that for patients read independently, with n the number of patients, because scans of one patient are not "
        "independent. Only the interval of all scans right counts more than that, by how often scans of one patient "
        "are not right or wrong together.",
        "Simple methods read the same patients in the average features of the original network alone. Differences "
        "are per patient, with Tango's score interval for paired proportions.",
        "AUROC is the chance that a scan of the class gets a higher probability for it than a scan of another class; "
        "its interval is Newcombe's score interval, scans of one patient counted as what they are worth together.",
    )


LIMITS = (
    "The figures hold for patients, devices, protocols and a mix of diagnoses like those tested. Elsewhere they can "
    "be far lower.",
    "Labels were taken as given. A wrong label counts against the model, or for it.",
    "One evaluation of one small task is noisy: trying several settings and keeping the best makes the figures too "
    "good. Confirm on new patients.",
    "Probabilities were calibrated on a handful of scans; read them as an order, not as exact chances.",
)


def provenance_items(provenance: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Provenance as pairs of text; what is not there reads "none"."""

    def plain(value: object) -> str:
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value)) or "none"
        return "none" if value is None else str(value)

    return tuple((str(key), plain(value)) for key, value in provenance.items())


def patients(n: int) -> str:
    return "1 patient" if n == 1 else f"{n} patients"


def scans(n: int) -> str:
    return "1 scan" if n == 1 else f"{n} scans"
