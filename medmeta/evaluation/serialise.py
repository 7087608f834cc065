"""`Evaluation` to and from plain JSON values, without loss; what earlier versions saved stays readable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from medmeta.errors import MedMetaError
from medmeta.evaluation.result import (
    Case,
    ClassFigures,
    Comparison,
    CurvePoint,
    Evaluation,
    Figure,
    Growth,
    Interval,
    Leak,
    LearningCurve,
    MapPoint,
    Mover,
    PatientCount,
    PatientRepeats,
    ReliabilityPoint,
    RepeatedFolds,
    ScanMap,
    Suspect,
)
from medmeta.notice import RESEARCH_USE_ONLY


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Plain values for ``json.dump``, with the keys the command line promises and all the rest.

    Every number is finite except ``out_of_domain``, where "inf", "-inf" or "nan" is written as text, so the
    result is valid JSON for every reader.
    """
    return {
        "research_use_only": RESEARCH_USE_ONLY,
        "task": evaluation.task,
        "learner": evaluation.learner,
        "protocol": evaluation.protocol,
        "classes": list(evaluation.classes),
        "n_support": evaluation.n_support,
        "n_support_groups": evaluation.n_support_groups,
        "n_groups": evaluation.n_groups,
        "seconds": evaluation.seconds,
        "accuracy": evaluation.accuracy,
        "interval": _pair(evaluation.interval),
        "patients": _count(evaluation.patients),
        "balanced_accuracy": evaluation.balanced_accuracy,
        "auroc": evaluation.auroc,
        "confusion": [list(row) for row in evaluation.confusion],
        "per_class": [_class_figures(figures) for figures in evaluation.per_class],
        "per_case": [_case(case, evaluation.classes) for case in evaluation.cases],
        "comparisons": [_comparison(comparison) for comparison in evaluation.comparisons],
        "notes": list(evaluation.notes),
        "provenance": dict(evaluation.provenance),
        "further": [_figure(figure) for figure in evaluation.further],
        "reliability": [asdict(point) for point in evaluation.reliability],
        "leaks": [asdict(leak) for leak in evaluation.leaks],
        "suspects": [asdict(suspect) for suspect in evaluation.suspects],
        "movers": [asdict(mover) for mover in evaluation.movers],
        "map": None if evaluation.map is None else asdict(evaluation.map),
        "curve": None if evaluation.curve is None else _curve(evaluation.curve),
        "repeated": None if evaluation.repeated is None else _repeated(evaluation.repeated),
    }


def from_json(data: Mapping[str, Any]) -> Evaluation:
    """The `Evaluation` that :func:`to_json` wrote, equal to the original.

    Raises:
        MedMetaError: a key is missing or holds something else.
    """
    try:
        classes = tuple(str(name) for name in data["classes"])
        return Evaluation(
            task=data["task"],
            learner=data["learner"],
            protocol=data["protocol"],
            classes=classes,
            n_support=data["n_support"],
            n_support_groups=data["n_support_groups"],
            n_groups=data["n_groups"],
            seconds=data["seconds"],
            accuracy=data["accuracy"],
            interval=_interval(data["interval"]),
            patients=_read_count(data["patients"]),
            balanced_accuracy=data["balanced_accuracy"],
            auroc=data["auroc"],
            confusion=tuple(tuple(row) for row in data["confusion"]),
            per_class=tuple(_read_class_figures(item) for item in data["per_class"]),
            cases=tuple(_read_case(item, classes) for item in data["per_case"]),
            comparisons=tuple(_read_comparison(item) for item in data["comparisons"]),
            notes=tuple(data["notes"]),
            provenance=dict(data["provenance"]),
            # Absent from what earlier versions saved.
            further=tuple(_read_figure(item) for item in data.get("further", ())),
            reliability=tuple(ReliabilityPoint(**item) for item in data.get("reliability", ())),
            leaks=tuple(Leak(**item) for item in data.get("leaks", ())),
            suspects=tuple(Suspect(**item) for item in data.get("suspects", ())),
            movers=tuple(Mover(**item) for item in data.get("movers", ())),
            map=None if data.get("map") is None else _read_map(data["map"]),
            curve=None if data.get("curve") is None else _read_curve(data["curve"]),
            repeated=None if data.get("repeated") is None else _read_repeated(data["repeated"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MedMetaError(
            "this is not an evaluation written by MedMeta: a key is missing or holds another kind of value "
            f"({type(error).__name__}: {error}); run the evaluation again"
        ) from error


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _interval(pair: Sequence[float]) -> Interval:
    low, high = pair
    return Interval(low, high)


def _maybe_interval(pair: Sequence[float] | None) -> Interval | None:
    return None if pair is None else _interval(pair)


def _count(count: PatientCount) -> dict[str, Any]:
    return {"correct": count.correct, "n": count.n, "interval": _pair(count.interval)}


def _read_count(data: Mapping[str, Any]) -> PatientCount:
    return PatientCount(data["correct"], data["n"], _interval(data["interval"]))


def _class_figures(figures: ClassFigures) -> dict[str, Any]:
    return {
        "label": figures.label,
        "n_scans": figures.n_scans,
        "n_groups": figures.n_groups,
        "sensitivity": figures.sensitivity,
        "sensitivity_interval": _pair(figures.sensitivity_interval),
        "specificity": figures.specificity,
        "specificity_interval": _pair(figures.specificity_interval),
        "auroc": figures.auroc,
    }


def _read_class_figures(data: Mapping[str, Any]) -> ClassFigures:
    return ClassFigures(
        label=data["label"],
        n_scans=data["n_scans"],
        n_groups=data["n_groups"],
        sensitivity=data["sensitivity"],
        sensitivity_interval=_maybe_interval(data["sensitivity_interval"]),
        specificity=data["specificity"],
        specificity_interval=_maybe_interval(data["specificity_interval"]),
        auroc=data["auroc"],
    )


def _figure(figure: Figure) -> dict[str, Any]:
    return {**asdict(figure), "interval": _pair(figure.interval)}


def _read_figure(data: Mapping[str, Any]) -> Figure:
    return Figure(**{**data, "interval": _maybe_interval(data["interval"])})


def _read_map(data: Mapping[str, Any]) -> ScanMap:
    return ScanMap(tuple(MapPoint(**point) for point in data["points"]), data["kept"])


def _curve(curve: LearningCurve) -> dict[str, Any]:
    return {
        "repeats": curve.repeats,
        "n_groups": curve.n_groups,
        "growths": [
            {
                "figure": growth.figure,
                "of": growth.of,
                "points": [{**asdict(point), "interval": _pair(point.interval)} for point in growth.points],
                "gain": growth.gain,
                "gain_interval": _pair(growth.gain_interval),
            }
            for growth in curve.growths
        ],
    }


def _read_curve(data: Mapping[str, Any]) -> LearningCurve:
    return LearningCurve(
        tuple(
            Growth(
                item["figure"],
                item["of"],
                tuple(
                    CurvePoint(point["shots"], point["share"], _interval(point["interval"]))
                    for point in item["points"]
                ),
                item["gain"],
                _interval(item["gain_interval"]),
            )
            for item in data["growths"]
        ),
        data["repeats"],
        data["n_groups"],
    )


def _repeated(repeated: RepeatedFolds) -> dict[str, Any]:
    return {**asdict(repeated), "right": list(repeated.right), "interval": _pair(repeated.interval)}


def _read_repeated(data: Mapping[str, Any]) -> RepeatedFolds:
    return RepeatedFolds(
        data["folds"],
        tuple(data["right"]),
        data["share"],
        _interval(data["interval"]),
        data["balanced_accuracy"],
        tuple(PatientRepeats(**item) for item in data["patients"]),
    )


def _case(case: Case, classes: tuple[str, ...]) -> dict[str, Any]:
    distance = case.out_of_domain
    return {
        "file": case.file,
        "scan_id": case.scan_id,
        "group": case.group,
        "label": case.label,
        "predicted": case.predicted,
        "probabilities": dict(zip(classes, case.probabilities, strict=True)),
        "abstained": case.abstained,
        "out_of_domain": distance if math.isfinite(distance) else str(distance),
        "nearest": [
            {"scan_id": scan_id, "file": file, "label": label, "similarity": similarity}
            for scan_id, file, label, similarity in case.nearest
        ],
    }


def _read_case(data: Mapping[str, Any], classes: tuple[str, ...]) -> Case:
    return Case(
        file=data["file"],
        scan_id=data["scan_id"],
        group=data["group"],
        label=data["label"],
        predicted=data["predicted"],
        probabilities=tuple(data["probabilities"][name] for name in classes),
        abstained=data["abstained"],
        out_of_domain=float(data["out_of_domain"]),
        nearest=tuple(
            (item["scan_id"], item["file"], item["label"], item["similarity"]) for item in data["nearest"]
        ),
    )


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "learner": comparison.learner,
        "patients": _count(comparison.patients),
        "accuracy": comparison.accuracy,
        "balanced_accuracy": comparison.balanced_accuracy,
        "difference": comparison.difference,
        "difference_interval": _pair(comparison.difference_interval),
    }


def _read_comparison(data: Mapping[str, Any]) -> Comparison:
    return Comparison(
        learner=data["learner"],
        patients=_read_count(data["patients"]),
        accuracy=data["accuracy"],
        balanced_accuracy=data["balanced_accuracy"],
        difference=data["difference"],
        difference_interval=_interval(data["difference_interval"]),
    )
