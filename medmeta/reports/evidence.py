"""Further figures, disputed labels and next steps in words; the HTML page, the PDF and the workbench say the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from medmeta.evaluation.notes import FEW_PATIENTS, quoted
from medmeta.evaluation.result import Evaluation, Figure, Interval, Mover, Suspect
from medmeta.reports.learning_curve import bottleneck
from medmeta.reports.palette import shortened
from medmeta.reports.words import decimal, percent, span

#: Start of a figure's name -> what it says in plain words, and whether it is a share.
_PLAIN: tuple[tuple[str, str, bool], ...] = (
    ("patients right", "the headline's share with a narrower, less cautious interval", True),
    (
        "balanced accuracy",
        "share found in each class, averaged, so that a large class hides no small one",
        True,
    ),
    ("Cohen's kappa", "agreement beyond what guessing by frequency gives; 0 is guessing, 1 perfect", False),
    ("MCC", "correlation of label and answer; 0 is guessing, 1 perfect", False),
    ("Brier score", "error of the probabilities; 0 is certain and right, 1 certain and wrong", False),
    (
        "calibration error",
        "by how much the probabilities are too high or too low, on average; chance alone makes about 0.08 of 50 "
        "patients, 0.04 of 200",
        False,
    ),
    ("F1", "balance of finding the class and of not calling others so; 1 is perfect", False),
    ("PPV", "how often a call of this class would be right", True),
    ("NPV", "how often it would rightly not be called this class", True),
    ("AUROC, resampled", "the same, its interval from resampled patients", False),
    ("AUROC", "chance that a scan of the class is ranked above another; 0.5 is guessing", False),
)


@dataclass(frozen=True)
class FigureRow:
    """One figure as text; ``value`` is a dash and ``plain`` the reason where it is not given."""

    name: str
    of: str
    value: str
    interval: str
    plain: str


def figure_rows(evaluation: Evaluation) -> tuple[FigureRow, ...]:
    """Every further figure, those of all classes first; empty for an evaluation saved before there were any."""
    return tuple(_row(figure) for figure in evaluation.further)


def disputed(suspect: Suspect) -> str:
    """Why a label is worth a second look, in one sentence."""
    if suspect.evidence is None:
        return (
            f"Labelled {quoted(suspect.label)}; the model, adapted without this patient, rather says "
            f"{quoted(suspect.suggested)}, by a lead of {round(100 * suspect.doubt)} points of probability."
        )
    alone = (
        f"says {quoted(suspect.suggested)} instead, by {round(100 * suspect.doubt)} points of probability"
        if suspect.doubt > 0
        else "does not dispute it"
    )
    fit = "better" if suspect.evidence > 0 else "nearly as well"
    return (
        f"Labelled {quoted(suspect.label)}. Were it {quoted(suspect.suggested)}, the labels of all patients together "
        f"would fit {fit}. The model adapted without this patient {alone}."
    )


def moving(mover: Mover) -> str:
    """How much a scan decides, in one sentence."""
    return (
        f"Labelled {quoted(mover.label)}. Without this patient the probabilities of the others change by "
        f"{decimal(100 * mover.moved)[:-1]} points on average; without another, by {decimal(100 * mover.usual)[:-1]}."
    )


MOVERS_HELP = (
    "Each patient was left out and the model fitted again to the rest. A scan that changes the reading of many others "
    "is not wrong for that, but it is the one whose label must be right."
)


SUSPECTS_HELP = (
    "Each label was changed in turn and the model fitted again: does it then read the patients left out better, or "
    "nearly as well? Such a label may be wrong, or the scan unusual: it cannot tell which. Correct a label only if you "
    "find it wrong yourself."
)


def next_steps(evaluation: Evaluation) -> tuple[str, ...]:
    """What to do now, the most urgent first."""
    return (
        *_steps(evaluation),
        "Confirm on new patients, from another device or place, before relying on it.",
    )


def _steps(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.leaks:
        names = ", ".join(dict.fromkeys(leak.name for leak in evaluation.leaks[:3]))
        yield f"Rule out the possible short cut ({names}) first: if it is one, no figure here speaks of the disease."
    contested = [item for item in evaluation.suspects if item.evidence is None or item.evidence > 0]
    if contested:
        files = ", ".join(shortened(suspect.file, 60) for suspect in contested)
        yield f"Look again at the labels the model disputes most: {files}. If one is wrong, correct it and adapt again."
    known = [figures for figures in evaluation.per_class if figures.sensitivity is not None]
    small = [figures for figures in known if figures.n_groups < FEW_PATIENTS]
    if small:
        # Of the small classes the one found worst gains most from more patients.
        worst = min(small, key=lambda figures: (figures.sensitivity or 0.0, figures.n_groups))
        grown = None if evaluation.curve is None else bottleneck(evaluation.curve)
        if grown is not None:  # the learning curve knows better than the present figures
            worst = next(figures for figures in known if figures.label == grown.of)
        yield (
            f"Add patients, of {quoted(worst.label)} first: it has {worst.n_groups} and "
            f"{percent(worst.sensitivity)} of its {worst.n_scans} scans were found."
        )


def _row(figure: Figure) -> FigureRow:
    plain, share = next(
        ((text, share) for start, text, share in _PLAIN if figure.name.startswith(start)), ("", False)
    )
    if figure.value is None:
        return FigureRow(figure.name, figure.of, "–", "–", f"Not given: {figure.why_not}.")
    value = percent(figure.value) if share else decimal(figure.value)
    return FigureRow(figure.name, figure.of, value, _interval(figure.interval, share), plain)


def _interval(interval: Interval | None, share: bool) -> str:
    if interval is None or share:
        return span(interval)
    return f"{interval.low:.2f} to {interval.high:.2f}".replace("-", "−")
