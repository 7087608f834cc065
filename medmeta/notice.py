"""The sentence that every prediction, report and exported object carries."""

RESEARCH_USE_ONLY = (
    "Research use only. Not a medical device; not for diagnosis, treatment or any decision about a patient."
)
