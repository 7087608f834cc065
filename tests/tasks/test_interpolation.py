"""Mixed tasks, by hand and by brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from torch import Tensor

from medmeta.errors import TaskError
from medmeta.tasks.interpolation import interpolate
from medmeta.tasks.meta_task import FeatureTask


def task(
    source: str, rows: list[list[float]], targets: list[int], groups: list[int] | None = None
) -> FeatureTask:
    """Query rows are the support's plus 100, one for each."""
    support = torch.tensor(rows)
    return FeatureTask(
        source=source,
        domain=source,
        ways=max(targets) + 1,
        support=support,
        support_targets=torch.tensor(targets),
        support_groups=torch.tensor(groups or list(range(len(rows)))),
        query=support + 100.0,
        query_targets=torch.tensor(targets),
        modality="CT",
        text=torch.full((3,), float(len(rows))),
    )


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_one_row_a_class_by_hand() -> None:
    a = task("a", [[0.0, 1.0], [0.0, 2.0]], [0, 1])
    b = task("b", [[1.0, 5.0], [1.0, 7.0], [9.0, 9.0]], [0, 1, 2])
    found = interpolate(a, b, seeded())
    share = 1.0 - float(found.support[0, 0])  # column 0 is 0 in a and 1 in b
    assert 0.0 < share < 1.0
    expected = torch.tensor([[1 - share, 5 - 4 * share], [1 - share, 7 - 5 * share]])
    torch.testing.assert_close(found.support, expected)
    torch.testing.assert_close(found.query, expected + 100.0)
    assert found.text is not None
    torch.testing.assert_close(found.text, torch.full((3,), 3.0 - share))
    assert (found.source, found.domain, found.ways, found.modality) == ("a+b", "a+b", 2, "CT")
    assert found.synthetic
    assert found.support_targets.tolist() == found.query_targets.tolist() == [0, 1]


def test_rows_are_paired_within_their_class_and_side() -> None:
    a = task("a", [[1.0], [2.0], [3.0], [40.0]], [0, 0, 0, 1])
    b = task("b", [[1000.0], [2000.0], [5000.0], [6000.0]], [0, 0, 1, 1])
    seen = set()
    for seed in range(200):
        found = interpolate(a, b, seeded(seed))
        assert found.support_targets.tolist() == [0, 0, 1]
        rows = found.support.flatten().tolist()
        options = [
            (p, q, r)
            for p in permutations([1.0, 2.0, 3.0], 2)
            for q in permutations([1000.0, 2000.0])
            for r in (5000.0, 6000.0)
        ]
        # One share explains all three rows of exactly one pairing.
        fits = []
        for p, q, r in options:
            share = (rows[2] - r) / (40.0 - r)
            mixed = [share * x + (1 - share) * y for x, y in zip(p, q, strict=True)]
            if 0 <= share <= 1 and mixed == pytest.approx(rows[:2], rel=2e-4):
                fits.append((frozenset(zip(p, q, strict=True)), r))
        assert fits
        seen.add(fits[0])
    assert len(seen) == 12


def test_shares_follow_the_beta_distribution() -> None:
    zeros, ones = (task(name, [[value], [value]], [0, 1]) for name, value in (("a", 1.0), ("b", 0.0)))
    generator = seeded()
    shares = torch.stack([interpolate(zeros, ones, generator, alpha=2.0).support[0, 0] for _ in range(2000)])
    assert float(shares.mean()) == pytest.approx(0.5, abs=5 * (0.05 / 2000) ** 0.5)
    assert float(shares.var()) == pytest.approx(0.05, rel=0.15)  # 1 / (4 (2 alpha + 1))


def components(pairs: list[tuple[int, int]]) -> list[set[int]]:
    """Brute force: grow sets of pairs that share a group until nothing changes."""
    sets = [{i} for i in range(len(pairs))]
    changed = True
    while changed:
        changed = False
        for one in sets:
            for other in sets:
                touching = any(
                    pairs[i][0] == pairs[j][0] or pairs[i][1] == pairs[j][1] for i in one for j in other
                )
                if one is not other and touching:
                    one.update(other)
                    sets.remove(other)
                    changed = True
                    break
            if changed:
                break
    return sets


def test_groups_join_whatever_shares_a_patient() -> None:
    # Features tell the patient: a has them in column 0, b in column 1; the share is read off column 2.
    random = seeded(7)
    for seed in range(60):
        ours, theirs = (torch.randint(0, 9, (8,), generator=random) for _ in range(2))
        a = task("a", [[float(g), 0.0, 1.0] for g in ours], [0, 0, 0, 0, 1, 1, 1, 1], ours.tolist())
        b = task("b", [[0.0, float(g), 0.0] for g in theirs], [0, 0, 0, 0, 1, 1, 1, 1], theirs.tolist())
        found = interpolate(a, b, seeded(seed), alpha=5.0)
        share = found.support[:, 2:]
        patients = torch.cat(
            [found.support[:, :1] / share, found.support[:, 1:2] / (1 - share)], dim=1
        ).round()
        pairs = [(int(p), int(q)) for p, q in patients.tolist()]
        expected = {frozenset(each) for each in components(pairs)}
        codes = found.support_groups.tolist()
        assert {frozenset(i for i, c in enumerate(codes) if c == code) for code in codes} == expected


def test_the_same_seed_mixes_alike_and_nothing_is_changed() -> None:
    a, b = task("a", [[0.0], [1.0], [2.0]], [0, 0, 1]), task("a", [[5.0], [6.0], [7.0]], [0, 1, 1])
    before = [t.clone() for t in (a.support, b.support)]
    state = torch.get_rng_state()
    one, two = interpolate(a, b, seeded(4)), interpolate(a, b, seeded(4))
    assert torch.equal(one.support, two.support)
    assert one.source == "a"
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(x, y) for x, y in zip(before, (a.support, b.support), strict=True))


def test_what_cannot_be_mixed_is_refused() -> None:
    a = task("a", [[0.0], [1.0]], [0, 1])
    none: Tensor = torch.empty(0, 1)
    person = replace(a, source="person", query=none, query_targets=torch.empty(0, dtype=torch.int64))
    with pytest.raises(TaskError, match=r"person: has no query.*meta-training only"):
        interpolate(a, person, seeded())
    with pytest.raises(TaskError, match="have 1 and 2 numbers"):
        interpolate(a, task("b", [[0.0, 1.0], [1.0, 1.0]], [0, 1]), seeded())
    with pytest.raises(TaskError, match="two classes"):
        interpolate(a, task("b", [[0.0]], [0]), seeded())
    with pytest.raises(TaskError, match="alpha"):
        interpolate(a, a, seeded(), alpha=0.0)
