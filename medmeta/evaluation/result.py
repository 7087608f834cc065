"""`Evaluation`: what was measured on scans the model had not adapted on, and the cases behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Leave one group (patient) out of the support in turn; adapt on the rest; predict the one left out.
LEAVE_ONE_GROUP_OUT = "leave-one-patient-out"
#: Adapt on the whole support, predict a separate query set.
QUERY_SET = "separate query set"


@dataclass(frozen=True)
class Interval:
    """A two-sided 95 % interval of a proportion or a difference."""

    low: float
    high: float


@dataclass(frozen=True)
class Case:
    """One scan predicted by a model that had not seen its group (patient).

    ``probabilities`` follow ``Evaluation.classes``; ``nearest`` are (scan_id, file, label, similarity)
    of the nearest scans the model had adapted on.
    """

    file: str
    scan_id: str
    group: str
    label: str
    predicted: str
    probabilities: tuple[float, ...]
    abstained: bool
    out_of_domain: float
    nearest: tuple[tuple[str, str, str, float], ...] = ()

    @property
    def correct(self) -> bool:
        return self.label == self.predicted


@dataclass(frozen=True)
class PatientCount:
    """``correct`` of ``n`` groups (patients), with the exact (Clopper-Pearson) 95 % interval.

    A patient with several scans counts once, by the mean probability of the scans of each label;
    one with scans of two labels is right only when both are.
    """

    correct: int
    n: int
    interval: Interval

    @property
    def rate(self) -> float:
        return self.correct / self.n


@dataclass(frozen=True)
class ClassFigures:
    """One class against the rest. None where the figure does not exist (no such scan)."""

    label: str
    n_scans: int
    n_groups: int
    sensitivity: float | None
    sensitivity_interval: Interval | None
    specificity: float | None
    specificity_interval: Interval | None
    auroc: float | None


@dataclass(frozen=True)
class Figure:
    """A figure beside the headline.

    Attributes:
        name: what it is, such as ``"AUROC"``.
        of: the class it is of; empty for one of all classes.
        value: None where ``why_not`` says why it is not given.
        interval: 95 % interval; None where the value has none.
        n_groups: patients behind it.
        why_not: in words, why there is no value (too few patients, ...).
    """

    name: str
    of: str
    value: float | None
    interval: Interval | None
    n_groups: int
    why_not: str = ""


@dataclass(frozen=True)
class ReliabilityPoint:
    """Answers given about equal probability: the mean of it, the share of them right, and how many scans."""

    confidence: float
    right: float
    n_scans: int


@dataclass(frozen=True)
class Leak:
    """A property beside the disease that tells the classes apart.

    Attributes:
        name: in words, such as ``"body part"`` or ``"top left corner"``.
        kind: ``"technical"`` (data about the file) or ``"image"`` (a part of the picture).
        correct: patients it alone predicts right, each left out.
        n: patients asked about.
        guess: patients right under the commonest label.
        p: chance of any property doing as well with shuffled labels.
    """

    name: str
    kind: str
    correct: int
    n: int
    guess: int
    p: float


@dataclass(frozen=True)
class Suspect:
    """A scan of the support whose label is worth a second look.

    ``suggested`` is what the model, adapted without its patient, finds most probable; ``doubt`` in (0, 1] how much
    more probable than ``label``. Where refits with other labels were made, ``suggested`` is the label by which all
    left-out readings together become most likely, and ``evidence`` (natural logarithm) by how much; below 0 they fit
    ``label`` better, but not clearly. ``doubt`` is then the lead of ``suggested``, and may be below 0.
    """

    file: str
    scan_id: str
    group: str
    label: str
    suggested: str
    doubt: float
    evidence: float | None = None


@dataclass(frozen=True)
class Mover:
    """A scan of the support that decides more than others do: without its patient the other patients read otherwise.

    ``moved`` is the mean change of their probabilities, in [0, 1]; ``usual`` the median of that over the support.
    """

    file: str
    scan_id: str
    group: str
    label: str
    moved: float
    usual: float


@dataclass(frozen=True)
class CurvePoint:
    """``share`` right with supports of ``shots`` patients a class, or all of a class that has fewer."""

    shots: int
    share: float
    interval: Interval


@dataclass(frozen=True)
class Growth:
    """How a figure grows with the patients learned from.

    Attributes:
        figure: ``"accuracy"``, ``"balanced accuracy"`` or ``"sensitivity"``, of patients.
        of: the class whose patients grow while the others all stay; empty where all classes grow together.
        points: from one patient up to all there are.
        gain: share with all of them minus share with half of them.
        gain_interval: of the gain, 95 %; where classes grow, of all classes at once (Bonferroni).
    """

    figure: str
    of: str
    points: tuple[CurvePoint, ...]
    gain: float
    gain_interval: Interval


@dataclass(frozen=True)
class LearningCurve:
    """Figures on patients left out, with smaller supports drawn ``repeats`` times; ``growths`` of every class."""

    growths: tuple[Growth, ...]
    repeats: int
    n_groups: int

    def growth(self, figure: str, of: str = "") -> Growth:
        """The growth of a figure with all classes, or with one."""
        return next(each for each in self.growths if (each.figure, each.of) == (figure, of))


@dataclass(frozen=True)
class PatientRepeats:
    """A patient, the label of its scans (the last where there are several), and how many divisions had it right."""

    group: str
    label: str
    right: int


@dataclass(frozen=True)
class RepeatedFolds:
    """The patients divided into folds anew, each fold read by a model adapted to the others.

    Attributes:
        folds: of each division.
        right: patients right in each division.
        share: mean of that over divisions and patients.
        interval: 95 %, for as many trials as there are patients, however often they were divided.
        balanced_accuracy: mean over divisions, of scans.
        patients: how often each was right, the surest first.
    """

    folds: int
    right: tuple[int, ...]
    share: float
    interval: Interval
    balanced_accuracy: float
    patients: tuple[PatientRepeats, ...]


@dataclass(frozen=True)
class MapPoint:
    """A scan on the plane of `ScanMap`; ``learned`` where it is one of the support."""

    scan_id: str
    file: str
    group: str
    label: str
    x: float
    y: float
    learned: bool


@dataclass(frozen=True)
class ScanMap:
    """Scans on a plane; ``kept`` is the share of the variance between them that it shows."""

    points: tuple[MapPoint, ...]
    kept: float


@dataclass(frozen=True)
class Comparison:
    """A simple baseline on the same folds: its patients right, and ours minus it, paired by patient."""

    learner: str
    patients: PatientCount
    accuracy: float
    balanced_accuracy: float
    difference: float
    difference_interval: Interval


@dataclass(frozen=True)
class Evaluation:
    """Everything measured.

    Attributes:
        task: name of the task.
        learner: name of the learner.
        protocol: ``LEAVE_ONE_GROUP_OUT`` or ``QUERY_SET``.
        classes: label names; the order of rows and columns of ``confusion``.
        n_support, n_support_groups: scans and groups adapted on.
        n_groups: groups evaluated, the n of every count and interval.
        seconds: wall time of one adaptation on the whole support, features included.
        accuracy: share of scans predicted right.
        interval: 95 % interval of ``accuracy``; scans of one group count as what they are worth together.
        patients: the headline, "k of n patients".
        balanced_accuracy: mean sensitivity over the classes that occur.
        auroc: mean one-vs-rest AUROC, None where it does not exist.
        confusion: ``confusion[i][j]`` scans of class i predicted as class j.
        per_class: figures of each class.
        cases: the evaluated scans.
        comparisons: simple baselines on the same folds.
        notes: sentences the person must read with the figures (too few patients, ...).
        provenance: versions, seed, hashes, device.
        further: figures beside the headline; empty in an evaluation saved before there were any.
        reliability: points of the reliability diagram; empty with too few patients.
        leaks: what tells the classes apart without the disease.
        suspects: labels worth a second look, the most disputed first; only where patients were left out.
        movers: scans that move the boundary most, the strongest first; only where patients were left out.
        map: the scans on a plane; None where the features are not frozen, or in an earlier evaluation.
        curve: how the figures grow with the patients learned from; None where there are too few, where adapting
            takes long, or in an evaluation saved before there was one.
        repeated: the same patients divided anew; None for the same reasons, and with a query set.
    """

    task: str
    learner: str
    protocol: str
    classes: tuple[str, ...]
    n_support: int
    n_support_groups: int
    n_groups: int
    seconds: float
    accuracy: float
    interval: Interval
    patients: PatientCount
    balanced_accuracy: float
    auroc: float | None
    confusion: tuple[tuple[int, ...], ...]
    per_class: tuple[ClassFigures, ...]
    cases: tuple[Case, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]
    further: tuple[Figure, ...] = ()
    reliability: tuple[ReliabilityPoint, ...] = ()
    leaks: tuple[Leak, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    movers: tuple[Mover, ...] = ()
    map: ScanMap | None = None
    curve: LearningCurve | None = None
    repeated: RepeatedFolds | None = None
