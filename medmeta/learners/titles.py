"""What people read for a learner; the registry name stays the one for code and the shell."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "medmeta": "MedMeta meta-model",
        "anchor": "Ridge and logistic regression together (anchor)",
        "prototypes": "Nearest class average (prototypes)",
        "logistic": "Logistic regression",
        "ridge": "Ridge regression",
        "lda": "Linear discriminant analysis",
        "lpft": "Linear probe, then fine-tuning",
        "finetune": "Full fine-tuning",
        "maml": "MAML",
        "fomaml": "First-order MAML",
        "anil": "ANIL",
        "reptile": "Reptile",
    }
)


def learner_title(name: str) -> str:
    """The title of a registry name; an unknown name stays as it is."""
    return TITLES.get(name, name)
