"""Keys for class names: a letter of the name where it is free, and none that the viewer or OHIF's users need."""

from __future__ import annotations

from collections.abc import Sequence

#: Letters that classes may have, the nearest to the resting hand first. Taken are I, R and M (viewer), U, N and B
#: (undo, skip, back), and C, H, L, V and Z, which mean something else in OHIF.
LETTERS = "adfgjksewqtoypx"


def label_keys(classes: Sequence[str]) -> dict[str, str | None]:
    """One key a class, the same for the same classes in any order; None once all letters are given out.

    A class gets the first letter of its name that is free, in the order of the names, else any free letter.
    """
    keys: dict[str, str | None] = {}
    free = list(LETTERS)
    for name in sorted(classes):
        own = next((letter for letter in name.casefold() if letter in free), None)
        keys[name] = own or (free[0] if free else None)
        if keys[name] is not None:
            free.remove(str(keys[name]))
    return keys
