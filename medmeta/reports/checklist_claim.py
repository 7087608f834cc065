"""CLAIM, 2024 update: its 44 items in our own words, and what the program fills in."""

from __future__ import annotations

from medmeta.notice import RESEARCH_USE_ONLY
from medmeta.reports import checklist_facts as facts
from medmeta.reports.checklist import FILLED, PART, Checklist, Item

CLAIM = Checklist(
    "claim",
    "Checklist: CLAIM 2024",
    "Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 "
    "update. Radiology: Artificial Intelligence 2024;6:e240300.",
    ("Items stand in short paraphrase; the published wording counts.",),
    (
        Item("1", "Title names the study as one of AI, and the kind of AI", PART, facts.model),
        Item("2", "Abstract with design, methods, results and conclusions"),
        Item("3", "Background; what the AI is meant for and its role in care", PART, RESEARCH_USE_ONLY),
        Item("4", "Aims and hypotheses"),
        Item("5", "Looking forward (prospective) or back (retrospective)"),
        Item("6", "Goal of the study", PART, facts.goal),
        Item("7", "Where the data come from"),
        Item("8", "Who was included and who was not"),
        Item("9", "How data were prepared", FILLED, facts.PREPROCESSING),
        Item("10", "Choice of subsets of the data"),
        Item("11", "How data were de-identified", FILLED, facts.DEIDENTIFIED),
        Item("12", "What was done about missing data", FILLED, facts.MISSING),
        Item("13", "How images were acquired", PART, facts.modality),
        Item("14", "How the reference standard was obtained"),
        Item("15", "Why this reference standard"),
        Item("16", "Who set the reference labels, and how well prepared"),
        Item("17", "Labels of the test set"),
        Item("18", "Agreement between and within readers"),
        Item("19", "How data were divided", FILLED, facts.partitions),
        Item("20", "At which level the parts are apart", FILLED, facts.SPLIT),
        Item("21", "Sample size planned for testing", PART, facts.sample_size),
        Item("22", "The model in detail", FILLED, facts.model),
        Item("23", "Software and versions", FILLED, facts.versions),
        Item("24", "Where the parameters start", FILLED, facts.start),
        Item("25", "How it was trained", FILLED, facts.training),
        Item(
            "26",
            "How the final model was chosen",
            FILLED,
            "One fixed setting; no choice among models was made here.",
        ),
        Item("27", "Several models together", FILLED, facts.together),
        Item("28", "Which measures of performance", FILLED, facts.MEASURES),
        Item("29", "Statistics and uncertainty", FILLED, facts.INTERVALS),
        Item("30", "Robustness or sensitivity", PART, facts.SHORT_CUTS),
        Item("31", "How answers are explained", FILLED, facts.EXPLAINED),
        Item("32", "Testing on internal data", FILLED, facts.internal),
        Item("33", "Testing on external data", PART, facts.external),
        Item("34", "Registration as a trial"),
        Item("35", "Patients or examinations in and out", PART, facts.numbers),
        Item("36", "Age, sex and clinical traits of each part"),
        Item("37", "Performance with its uncertainty", FILLED, facts.performance),
        Item("38", "Diagnostic performance and its precision", FILLED, facts.per_class),
        Item("39", "What went wrong in wrong answers", FILLED, facts.failures),
        Item("40", "Limits of the study", PART, facts.limits),
        Item("41", "What it means for practice", PART, RESEARCH_USE_ONLY),
        Item("42", "Where protocol and technical details are", PART, facts.REPEAT),
        Item("43", "Whether software, model and data can be had", PART, facts.CODE),
        Item("44", "Funding and the funders' part"),
    ),
)
