"""How long work tells where it is: one callable, given the finished fraction and a short sentence."""

from __future__ import annotations

from collections.abc import Callable

#: ``progress(fraction, message)`` with ``fraction`` in [0, 1]. It may raise
#: :class:`medmeta.errors.CancelledError`, which stops the work that called it.
Progress = Callable[[float, str], None]


def silent(fraction: float, message: str) -> None:
    """Take no notice; the default where nobody watches."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """Map the whole of a step onto the share ``[start, stop]`` of a longer piece of work."""

    def inner(fraction: float, message: str) -> None:
        progress(start + (stop - start) * fraction, message)

    return inner
