"""MedMeta: few-shot learning for medical scans, honestly evaluated. Research use only.

>>> import medmeta
>>> task = medmeta.read_task("scans.zip")             # folders name the classes, or a labels.csv
>>> evaluation = medmeta.evaluate(task)               # each patient left out in turn
>>> model = medmeta.adapt(task)
>>> prediction = model.predict(medmeta.read_scans("new_scans/"))

The names below load on first use, so that ``import medmeta`` costs nothing and the shell starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medmeta.api import adapt, evaluate, intake, load_model, read_scans, read_task

__version__ = "0.1.0"
__all__ = ["__version__", "adapt", "evaluate", "intake", "load_model", "read_scans", "read_task"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("medmeta.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
