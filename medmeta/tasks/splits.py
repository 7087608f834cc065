"""Folds that never divide a group (patient)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fold:
    """Positions to adapt on and positions to predict; no group has scans in both."""

    train: tuple[int, ...]
    test: tuple[int, ...]


def leave_one_group_out(
    groups: Sequence[str], targets: Sequence[int], max_folds: int | None = None
) -> list[Fold]:
    """Leave each group out once.

    Args:
        groups: group of each of n scans.
        targets: class index of each scan; spreads classes evenly when folds are shared.
        max_folds: when there are more groups than this, several groups share a fold (each group is
            still left out exactly once, and never divided). None: one fold a group.

    Returns:
        folds in the order in which their first scan stands; together their ``test`` positions are
        0..n-1, each once.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        members[group].append(position)
    if max_folds is None or len(members) <= max_folds:
        bundles = list(members.values())
    else:
        bundles = _share(list(members.values()), targets, max_folds)
    everything = range(len(groups))
    folds = []
    for bundle in bundles:
        left_out = set(bundle)
        folds.append(Fold(tuple(i for i in everything if i not in left_out), tuple(sorted(bundle))))
    return sorted(folds, key=lambda fold: fold.test[0])


def _share(members: list[list[int]], targets: Sequence[int], folds: int) -> list[list[int]]:
    """Deal groups to folds, largest first, each to the fold that has fewest scans of its class."""
    bundles: list[list[int]] = [[] for _ in range(folds)]
    counts = [Counter[int]() for _ in range(folds)]
    for group in sorted(members, key=lambda positions: (-len(positions), positions[0])):
        main = Counter(targets[i] for i in group).most_common(1)[0][0]
        best = min(range(folds), key=lambda f: (counts[f][main], len(bundles[f]), f))
        bundles[best].extend(group)
        counts[best].update(targets[i] for i in group)
    return bundles
