"""Refits by closed form agree with refits one by one; a wrong label is found where it alone looks right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from medmeta.evaluation.influence import SHARPNESS, STRENGTH, influences
from medmeta.evaluation.result import Case
from medmeta.evaluation.suspects import movers, suspects
from medmeta.models import heads


def points(seed: int = 0, patients: int = 6) -> tuple[torch.Tensor, list[int], list[str]]:
    """Two classes of points on the sphere, patients of one or two scans."""
    random = np.random.default_rng(seed)
    rows, targets, groups = [], [], []
    for label in range(2):
        for patient in range(patients):
            for _ in range(1 + patient % 2):
                rows.append(random.normal([1.5 * label, 1.0 - label, 0.5], 0.4))
                targets.append(label)
                groups.append(f"{label}-{patient}")
    z = torch.nn.functional.normalize(torch.tensor(np.array(rows)), dim=1)
    return z, targets, groups


def left_out(z: torch.Tensor, targets: list[int], groups: list[str]) -> np.ndarray:
    """The same by fitting without each patient, weights as in the fit with it: one fit a patient, nothing clever."""
    labels, n = torch.tensor(targets), len(targets)
    weights = heads.balance(labels, 2, torch.ones(1, n, dtype=torch.bool))[0]
    found = np.zeros((n, 2))
    for i in range(n):
        keep = [j for j in range(n) if groups[j] != groups[i]]
        kept = torch.cat([z[keep], torch.ones(len(keep), 1)], dim=1)
        goal = torch.nn.functional.one_hot(labels[keep], 2).double() - 0.5
        weighted = kept.T * weights[keep]
        penalty = STRENGTH * torch.eye(kept.shape[1], dtype=torch.float64)
        plane = torch.linalg.solve(weighted @ kept + penalty, weighted @ goal)
        score = torch.cat([z[i], torch.ones(1)]) @ plane
        found[i] = torch.softmax(SHARPNESS * score, dim=0).numpy()
    return found


def test_evidence_and_movement_are_those_of_single_refits() -> None:
    z, targets, groups = points()
    found = influences(z @ z.T, targets, groups, 2)
    base = left_out(z, targets, groups)
    place = 4
    turned = [1 - t if groups[i] == groups[place] else t for i, t in enumerate(targets)]
    again = left_out(z, turned, groups)
    rows = range(len(targets))
    gain = np.log(again[rows, turned]).sum() - np.log(base[rows, targets]).sum()
    assert found.evidence[place] == pytest.approx(gain, abs=1e-8)
    assert found.suggested[place] == 1
    keep = [i for i in rows if groups[i] != groups[place]]
    fewer = left_out(z[keep], [targets[i] for i in keep], [groups[i] for i in keep])
    assert found.moved[place] == pytest.approx(np.abs(fewer - base[keep]).sum(axis=1).mean() / 2, abs=1e-8)


def test_a_wrong_label_has_the_most_evidence() -> None:
    hits = 0
    for seed in range(20):
        z, targets, groups = points(seed)
        wrong = seed % len(targets)
        turned = [1 - t if groups[i] == groups[wrong] else t for i, t in enumerate(targets)]
        found = influences(z @ z.T, turned, groups, 2)
        hits += groups[int(found.evidence.argmax())] == groups[wrong]
        assert found.suggested[wrong] == targets[wrong]
    assert hits >= 17


def test_right_labels_have_none() -> None:
    z = torch.nn.functional.one_hot(torch.tensor([0, 0, 0, 1, 1, 1]), 2).double()
    found = influences(z @ z.T, [0, 0, 0, 1, 1, 1], list("abcdef"), 2)
    assert (found.evidence < 0).all()


def test_a_class_of_one_patient_is_neither_turned_nor_left_out() -> None:
    z, targets, groups = points()
    z = torch.cat([z, torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)])
    found = influences(z @ z.T, [*targets, 2], [*groups, "only"], 3)
    assert found.evidence[-1] == -np.inf
    assert found.moved[-1] == 0.0


def test_suspects_and_movers_name_a_patient_once_with_its_evidence() -> None:
    z, targets, groups = points()
    turned = [1 - t if groups[i] == groups[1] else t for i, t in enumerate(targets)]
    found = influences(z @ z.T, turned, groups, 2)
    cases = [
        Case(f"f{i}", f"id{i}", groups[i], "ab"[t], "a", (0.5, 0.5), False, 0.0) for i, t in enumerate(turned)
    ]
    named = suspects(cases, ("a", "b"), influences=found)
    assert named[0].group == groups[1]
    assert named[0].suggested == "a"
    assert named[0].evidence == pytest.approx(found.evidence[1])
    assert len({(each.group, each.label) for each in named}) == len(named)
    # One that fits nearly as well with the other label is named too, one that is clearly confirmed is not.
    below = [-np.log(20) + 0.01 if group == "1-5" else -np.log(20) - 0.01 for group in groups]
    near = suspects(cases, ("a", "b"), influences=replace(found, evidence=np.array(below)))
    assert [each.group for each in near] == ["1-5"]
    moving = movers(cases, found)
    assert [each.moved for each in moving] == sorted((each.moved for each in moving), reverse=True)
    assert len({each.group for each in moving}) == 3
