"""Scans that do not belong with the others, and kinds of picture that the model was not trained on.

Both follow from feature vectors of a network trained on photographs, as they are: centred or whitened ones told strays
apart less well. `benchmarks.strangers` has the figures by which the limits were chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmeta.scans.checks import Finding, Looked, names_of

Vectors = NDArray[np.float32]

#: A scan whose cosine to its nearest scans of other patients, so many of them, is lower on average belongs to none.
STRAY, NEAREST = 0.55, 3
#: Fewer scans say nothing of each other: with six, a sound set of CT scans had one named in 6 % of draws.
LEAST = 10
#: Scans that are nearer than this to a class the model was trained on are of its kind.
KNOWN = 0.68


@dataclass(frozen=True, eq=False)
class Kinds:
    """What the model was trained on.

    Attributes:
        names: for people, one a class; classes of one kind share theirs.
        means: mean feature vector of each class, ``(classes, D)`` float32 of length 1.
    """

    names: tuple[str, ...]
    means: Vectors


def check_strangers(
    scans: Sequence[Looked], looks: Mapping[str, NDArray[Any]], kinds: Kinds | None = None
) -> tuple[Finding, ...]:
    """Findings ``stray`` (scans unlike all others) and ``new-kind`` (unlike all that the model was trained on).

    Args:
        scans: a set; those to be read as new ones are let be.
        looks: feature vectors ``(D,)`` by `Looked.id`; scans without one are let be.
        kinds: what the model was trained on; where None, nothing is said of it.
    """
    seen = [scan for scan in scans if scan.side != "predict" and not scan.empty and scan.id in looks]
    if len(seen) < LEAST:
        return ()
    vectors = unit(np.stack([looks[scan.id] for scan in seen]))
    odd = [seen[i] for i in strays(vectors, [scan.group for scan in seen])]
    found = []
    if odd:
        keys = tuple(scan.key for scan in odd)
        what = f"{names_of(odd)} {'looks' if len(odd) == 1 else 'look'} like none of the other scans"
        advice = "If this is another part of the body, a screenshot or no scan at all, remove it."
        found.append(Finding("stray", "warning", f"{what}. {advice}", keys, keys))
    if kinds is not None and is_new(vectors, kinds):
        found.append(
            Finding(
                "new-kind",
                "note",
                f"These pictures are new to the model: they differ from those it was trained on, {listed(kinds)}. "
                "It can learn them all the same; how well, only the figures on Evaluate tell.",
                tuple(scan.key for scan in seen),
            )
        )
    return tuple(found)


def unit(vectors: NDArray[Any]) -> Vectors:
    """Rows of length 1, ``(n, D)`` float32."""
    rows = np.asarray(vectors, np.float32)
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    of_one: Vectors = (rows / lengths).astype(np.float32)
    return of_one


def strays(vectors: Vectors, groups: Sequence[str]) -> list[int]:
    """Positions of the scans that are like no other: those of one patient do not vouch for each other.

    Args:
        vectors: ``(n, D)``, of length 1.
        groups: patient of each.
    """
    return [int(i) for i in np.flatnonzero(belonging(vectors, groups) < STRAY)]


def belonging(vectors: Vectors, groups: Sequence[str]) -> Vectors:
    """Mean cosine of each scan to its `NEAREST` scans of other patients, ``(n,)``; 1 where there are not so many."""
    number = np.unique(np.asarray(groups), return_inverse=True)[1]
    likeness = np.where(number[:, None] == number, -np.inf, vectors @ vectors.T)
    if likeness.shape[1] < NEAREST:
        return np.ones(len(vectors), np.float32)
    nearest: Vectors = np.sort(likeness, axis=1)[:, -NEAREST:].mean(axis=1)
    return np.where(np.isfinite(nearest), nearest, 1.0).astype(np.float32)


def is_new(vectors: Vectors, kinds: Kinds) -> bool:
    """Whether most of the scans are unlike every class that the model was trained on."""
    return float(np.median((vectors @ kinds.means.T).max(axis=1))) < KNOWN


def listed(kinds: Kinds) -> str:
    """The kinds in words, each once."""
    names = list(dict.fromkeys(kinds.names))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
