"""What a reporting checklist is made of: items, and what the program can fill in of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medmeta.evaluation.result import Evaluation

FILLED = "filled by the program"
PART = "filled in part"
AUTHOR = "needs the author"
NOT_APPLICABLE = "not applicable"

#: What is said of an evaluation.
Say = Callable[[Evaluation], str]


@dataclass(frozen=True)
class Item:
    """One item of a checklist.

    Attributes:
        number: as the checklist counts.
        about: what it asks for, in our own words.
        status: `FILLED`, `PART`, `AUTHOR` or `NOT_APPLICABLE`.
        say: what is filled in, or why it does not apply; None where the author alone knows.
    """

    number: str
    about: str
    status: str = AUTHOR
    say: Say | str | None = None


@dataclass(frozen=True)
class Checklist:
    """A checklist; ``source`` cites it, ``notes`` say how it was taken here."""

    key: str
    title: str
    source: str
    notes: tuple[str, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Answer:
    """An item with what the program filled in; empty where the author has to."""

    item: Item
    value: str

    @property
    def status(self) -> str:
        return self.item.status


def answer(item: Item, evaluation: Evaluation) -> Answer:
    if item.say is None:
        return Answer(item, "")
    return Answer(item, item.say if isinstance(item.say, str) else item.say(evaluation))
