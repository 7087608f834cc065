"""The space tasks are drawn from: how many ways and shots, how balanced, of which domains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medmeta.errors import TaskError

KEYS = ("num_classes", "class_balance", "domain_shift", "shots")


@dataclass(frozen=True)
class ParamSpace:
    """What each task chooses from, every choice of a list being equally likely.

    Attributes:
        num_classes: ways; None stands for all classes. A set with fewer classes takes all it has.
        class_balance: shots of the smallest class over shots of the largest, in (0, 1].
        domain_shift: domains to draw from; None for every domain of the base data.
        shots: support items of the largest class.
    """

    num_classes: tuple[int | None, ...]
    class_balance: tuple[float, ...]
    domain_shift: tuple[str, ...] | None
    shots: tuple[int, ...]

    def ways_of(self, classes: int) -> tuple[int, ...]:
        """The different numbers of ways a set of so many classes can give, ascending."""
        return tuple(sorted({min(ways or classes, classes) for ways in self.num_classes}))


def parse_param_space(given: Mapping[str, Any], *, shots: int) -> ParamSpace:
    """Check a parameter space such as ``{'num_classes': [2, 5, 'all'], 'class_balance': [0.7, 0.9]}``.

    Args:
        given: any of ``num_classes`` (whole numbers from 2, or ``'all'``), ``class_balance``, ``domain_shift`` and
            ``shots``; a single value stands for a list of one. What is absent is: all classes, balanced, all
            domains, and the argument ``shots``.
        shots: where ``given`` names none.

    Raises:
        TaskError: an unknown key, an empty list, or a value out of range.
    """
    unknown = sorted(set(given) - set(KEYS))
    if unknown:
        raise TaskError(f"the parameter space has no {', '.join(unknown)}; it has {', '.join(KEYS)}")
    ways = [
        None if value == "all" else _whole("num_classes", value, 2)
        for value in _listed(given, "num_classes", "all")
    ]
    balances = [_ratio(value) for value in _listed(given, "class_balance", 1.0)]
    domains = _listed(given, "domain_shift", "") if "domain_shift" in given else None
    return ParamSpace(
        tuple(ways),
        tuple(balances),
        None if domains is None else tuple(str(name) for name in domains),
        tuple(_whole("shots", value, 1) for value in _listed(given, "shots", shots)),
    )


def shots_per_class(shots: int, ways: int, balance: float) -> list[int]:
    """Support sizes of the classes, largest first, evenly spaced from ``shots`` down to ``balance * shots``.

    Each is the nearest whole number (halves go down, so that a balance below one shows) and at least 1:
    5 shots, 3 ways, balance 0.7 give 5, 4, 3.
    """
    steps = [1.0 - (1.0 - balance) * i / max(ways - 1, 1) for i in range(ways)]
    return [max(1, math.ceil(shots * step - 0.5 - 1e-9)) for step in steps]


def _listed(given: Mapping[str, Any], key: str, default: Any) -> Sequence[Any]:
    value = given.get(key, default)
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise TaskError(f"{key} is empty; name at least one value or leave it out")
    return values


def _whole(key: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        also = " or 'all'" if key == "num_classes" else ""
        raise TaskError(f"{key} must be whole numbers from {least}{also}, found {value!r}")
    return value


def _ratio(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value <= 1.0:
        raise TaskError(
            f"class_balance is the smallest class's shots over the largest's, above 0 and at most 1, found {value!r}"
        )
    return float(value)
