"""Sentences about an evaluation that several items of the checklists ask for."""

from __future__ import annotations

from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, Evaluation
from medmeta.learners.cards import weight_cards
from medmeta.learners.titles import learner_title
from medmeta.reports import words

PREPROCESSING = (
    "Each file is decoded, checked and turned into one range of intensities; the central frame is read at 224 x 224 "
    "pixels in two views (the whole turned left by a quarter, and the centre enlarged and mirrored)."
)
DEIDENTIFIED = (
    "By an allow-list of sixteen technical tags (after PS3.15 Annex E); patients become keyed pseudonyms. Text "
    "burned into pixels and names of files are the author's to check."
)
MISSING = "A scan that cannot be read or has no label takes no part; nothing is imputed."
MEASURES = "Patients right, sensitivity, specificity, AUROC, and those under More figures."
INTERVALS = (
    "95 % intervals by patient: Clopper-Pearson for shares, Newcombe's score interval for AUROC (scans of one patient "
    "counted as what they are worth together), resampled patients for the rest, Tango for paired differences."
)
EXPLAINED = "The scans it had adapted on that look most like each answer; no heat map in this report."
SPLIT = (
    "By patient: no patient and no image is on both sides. A scan that names no patient counts as its own."
)
SHORT_CUTS = (
    "Technical properties, borders and corners are tested for telling the classes apart without the disease; labels "
    "the model disputes are named."
)
CODE = "MedMeta Workbench is open source (Apache-2.0); its weights come with it, under their hashes."
REPEAT = (
    "The run's bundle holds scans, labels, recipe and figures; the report command repeats it and compares."
)


def modality(evaluation: Evaluation) -> str:
    found = ", ".join(map(str, evaluation.provenance.get("modalities", ())))
    return f"Modality (scans): {found}." if found else "Modality was not recorded."


def goal(evaluation: Evaluation) -> str:
    return f"To tell apart {', '.join(evaluation.classes)} from a handful of labelled scans a class."


def model(evaluation: Evaluation) -> str:
    if evaluation.learner == "medmeta":
        return (
            "MedMeta meta-model: two frozen EfficientNet-Lite0 trunks (ImageNet; tuned on public medical sets), 32 "
            "blocks of features, a closed-form ridge head whose weights the support set sets in at most 8 steps."
        )
    return f"{learner_title(evaluation.learner)}, on features of a frozen EfficientNet-Lite0."


def output(evaluation: Evaluation) -> str:
    return (
        f"A calibrated probability for each of {len(evaluation.classes)} classes; the answer is the most probable. "
        "It declines scans unlike the support, or whose answer is open."
    )


def start(evaluation: Evaluation) -> str:
    names = ", ".join(weight_cards(evaluation.learner))
    return f"Pretrained weights: {names}; the head starts from a closed form, without chance."


def together(evaluation: Evaluation) -> str:
    if evaluation.learner == "medmeta":
        return "Start and adapted head, weighed by patients of the support left out."
    return "None."


def training(evaluation: Evaluation) -> str:
    return (
        f"Adapted on {words.scans(evaluation.n_support)} of {words.patients(evaluation.n_support_groups)} in "
        f"{words.seconds(evaluation.seconds)}; one fixed setting, nothing tuned on these scans."
    )


def versions(evaluation: Evaluation) -> str:
    names = ("medmeta", "python", "torch", "numpy", "scipy", "scikit-learn", "pydicom")
    told = [f"{name} {evaluation.provenance[name]}" for name in names if name in evaluation.provenance]
    return ", ".join(told)


def partitions(evaluation: Evaluation) -> str:
    if evaluation.protocol == LEAVE_ONE_GROUP_OUT:
        patients = words.patients(evaluation.n_groups)
        return f"Each of {patients} was left out once and read by a model adapted on the others."
    return (
        "Support and query set were given apart by the author; the program refuses shared patients or images."
    )


def internal(evaluation: Evaluation) -> str:
    if evaluation.protocol == LEAVE_ONE_GROUP_OUT:
        return f"Leave-one-patient-out over {words.patients(evaluation.n_groups)}."
    return "None besides the query set."


def external(evaluation: Evaluation) -> str:
    if evaluation.protocol == LEAVE_ONE_GROUP_OUT:
        return "None: these figures are internal. Confirm on patients from another device or place."
    return f"A separate query set of {words.patients(evaluation.n_groups)}; the author says whether it is external."


def numbers(evaluation: Evaluation) -> str:
    classes = "; ".join(
        f"{item.label}: {words.patients(item.n_groups)}, {words.scans(item.n_scans)}"
        for item in evaluation.per_class
    )
    return f"Tested: {classes}. Scans refused on reading are listed by the workbench."


def performance(evaluation: Evaluation) -> str:
    return (
        f"{words.headline(evaluation)} (95 % interval {words.span(evaluation.patients.interval)}); balanced accuracy "
        f"{words.percent(evaluation.balanced_accuracy)}, mean AUROC {words.decimal(evaluation.auroc)}."
    )


def per_class(evaluation: Evaluation) -> str:
    return "; ".join(
        f"{item.label}: sensitivity {words.percent(item.sensitivity)} ({words.span(item.sensitivity_interval)}), "
        f"specificity {words.percent(item.specificity)} ({words.span(item.specificity_interval)})"
        for item in evaluation.per_class
    )


def failures(evaluation: Evaluation) -> str:
    wrong = sum(not case.correct for case in evaluation.cases)
    return f"{wrong} of {words.scans(len(evaluation.cases))} wrong; the surest mistakes and disputed labels are shown."


def comparison(evaluation: Evaluation) -> str:
    names = ", ".join(learner_title(item.learner) for item in evaluation.comparisons)
    return f"Beside {names}, on the same patients." if names else "No other method was run beside it."


def balance(evaluation: Evaluation) -> str:
    counts = ", ".join(f"{item.label} {item.n_groups}" for item in evaluation.per_class)
    return f"Patients: {counts}. No resampling; balanced accuracy and each class's figures are given."


def limits(_: Evaluation) -> str:
    return " ".join(words.LIMITS)


def sample_size(evaluation: Evaluation) -> str:
    return f"{words.patients(evaluation.n_groups)} tested; what they can show is the interval's width."
