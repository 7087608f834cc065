"""Errors a person can act on: what was expected, what was found, in which file, and what to do."""

from __future__ import annotations


class MedMetaError(ValueError):
    """Base of every error this package raises on purpose; its text is fit to show to a person."""


class ScanRejectedError(MedMetaError):
    """One uploaded file was refused; the other files of the same upload are kept.

    Args:
        file: the name the file was uploaded under.
        reason: what was expected, what was found and what to do, without any tag's content.
    """

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


class TaskError(MedMetaError):
    """A set of labelled scans cannot be learned from or evaluated as it stands."""


class ModelError(MedMetaError):
    """A saved model or a shipped weight is missing, altered, or of another version."""


class CancelledError(MedMetaError):
    """Raised out of a progress callback when a person stops a running job."""
