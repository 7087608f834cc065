"""TRIPOD+AI: its 27 items, subitems included, in our own words, and what the program fills in."""

from __future__ import annotations

from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports import checklist_facts as facts
from medmeta.reports.checklist import FILLED, NOT_APPLICABLE, PART, Checklist, Item

_DIAGNOSIS = "Diagnosis from one scan: no treatment between predictor and outcome is modelled."
_NO_UPDATE = "No existing prediction model was updated; the model is adapted anew to each task."
_PIXELS = "The pixels of a scan are the only predictor; nobody grades it by eye."

TRIPOD = Checklist(
    "tripod-ai",
    "Checklist: TRIPOD+AI",
    "Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction "
    "models that use regression or machine learning methods. BMJ 2024;385:e078378.",
    (
        "Items stand in short paraphrase; the published wording counts. Taken as development and evaluation of a "
        "diagnostic model.",
    ),
    (
        Item("1", "Title: develops or evaluates a prediction model, for whom, for what", PART, facts.goal),
        Item("2", "Abstract after TRIPOD+AI for Abstracts"),
        Item("3a", "Clinical context, why the model, what exists already"),
        Item("3b", "For which patients and users, where in their care", PART, RESEARCH_USE_ONLY),
        Item("3c", "Known health inequalities between groups"),
        Item(
            "4",
            "Objectives; development, evaluation or both",
            PART,
            "Development by adaptation, and its evaluation.",
        ),
        Item("5a", "Sources of the data and whether they are representative"),
        Item("5b", "Dates of the data"),
        Item("6a", "Setting, number and place of centres"),
        Item("6b", "Who was eligible"),
        Item("6c", "Treatments", NOT_APPLICABLE, _DIAGNOSIS),
        Item("7", "How data were prepared and checked", FILLED, facts.PREPROCESSING),
        Item("8a", "The outcome, how and when it is assessed", PART, facts.goal),
        Item("8b", "Who assessed it, where that takes judgement"),
        Item("8c", "Whether they were blind to the predictors"),
        Item("9a", "Why these predictors", FILLED, _PIXELS),
        Item("9b", "The predictors, how and when measured", PART, facts.modality),
        Item("9c", "Who assessed predictors, where that takes judgement", NOT_APPLICABLE, _PIXELS),
        Item("10", "How the sample size came about", PART, facts.sample_size),
        Item("11", "Missing data", FILLED, facts.MISSING),
        Item("12a", "Which data served what, and how divided", FILLED, facts.partitions),
        Item(
            "12b",
            "How predictors enter the model",
            FILLED,
            "Features are centred and scaled by what meta-training learned.",
        ),
        Item("12c", "Kind of model, building, tuning, internal validation", FILLED, facts.model),
        Item("12d", "Differences between clusters such as hospitals"),
        Item("12e", "Measures of performance, comparison of models", FILLED, facts.comparison),
        Item("12f", "Updating of a model", NOT_APPLICABLE, _NO_UPDATE),
        Item(
            "12g",
            "How predictions were calculated",
            FILLED,
            "By the saved task model; medmeta predict, or predict in Python.",
        ),
        Item("13", "Unequal classes", FILLED, facts.balance),
        Item(
            "14",
            "Fairness between groups",
            PART,
            "Not examined: age, sex and ethnicity are removed from scans on reading.",
        ),
        Item("15", "What the model gives, and thresholds", FILLED, facts.output),
        Item("16", "How development and evaluation data differ", PART, facts.external),
        Item("17", "Ethics approval and consent"),
        Item("18a", "Funding"),
        Item("18b", "Conflicts of interest"),
        Item("18c", "Where the protocol is"),
        Item("18d", "Registration"),
        Item("18e", "Whether the data can be had", PART, facts.REPEAT),
        Item("18f", "Whether the code can be had", FILLED, facts.CODE),
        Item("19", "What patients and public took part in"),
        Item("20a", "Flow of participants, with and without the outcome", PART, facts.numbers),
        Item("20b", "Their characteristics"),
        Item("20c", "Development and evaluation data compared"),
        Item("21", "Participants and outcomes in each analysis", FILLED, facts.numbers),
        Item("22", "The whole model, so that it can be used", FILLED, facts.CODE),
        Item("23a", "Performance with intervals", FILLED, facts.performance),
        Item("23b", "Differences of performance between clusters"),
        Item("24", "Results of updating", NOT_APPLICABLE, _NO_UPDATE),
        Item("25", "What the results mean, fairness included"),
        Item("26", "Limits", PART, facts.limits),
        Item(
            "27a",
            "Poor or missing input in use",
            FILLED,
            "Unreadable files are refused with a reason; scans unlike the support are declined.",
        ),
        Item(
            "27b",
            "What users must do and know",
            FILLED,
            "Drop in scans; no setting. The answer needs a reader who knows the finding.",
        ),
        Item("27c", "Next steps", PART, "Confirm on new patients, from another device or place."),
    ),
)
