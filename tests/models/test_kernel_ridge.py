"""The anchor: left-out scores against refitting without each group, and their gradient against differences."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from synthetic_tasks import closed_form_ridge
from torch import Tensor

from medmeta.models import heads
from medmeta.models.kernel_ridge import UNKNOWN, Goals, ridge
from medmeta.tasks.meta_task import FeatureTask

TARGETS = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
GROUPS = torch.tensor([3, 3, 1, 1, 4, 5, 6, 6, 8, 9, 9, 1])  # group 1 has scans of two classes
STRENGTH = 0.3


def features(n: int = 12, seed: int = 0) -> Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=(n, 5)))


def goals(targets: Tensor = TARGETS, groups: Tensor = GROUPS, ways: int = 3) -> Goals:
    return Goals.of([fitted(targets, groups, ways)])


def fitted(targets: Tensor, groups: Tensor, ways: int, z: Tensor | None = None) -> FeatureTask:
    rows = features(len(targets)) if z is None else z
    return FeatureTask("a", "b", ways, rows, targets, groups, rows[:0], targets[:0])


def strength(value: float = STRENGTH, count: int = 1) -> Tensor:
    return torch.full((count,), value, dtype=torch.float64)


def refitted(z: Tensor, targets: Tensor, groups: Tensor, classes: int) -> np.ndarray:
    """Each scan by normal equations without its group, the others' weights unchanged."""
    rows = []
    for row, group in zip(z.numpy(), groups, strict=True):
        kept = (groups != group).numpy()
        weights = closed_form_ridge(z.numpy(), targets.numpy(), classes, STRENGTH, kept)
        rows.append(np.append(row, 1.0) @ weights)
    return np.stack(rows)


@pytest.mark.parametrize("groups", [GROUPS, torch.arange(12), torch.arange(12) // 4])
def test_left_out_scores_are_those_of_refitting_without_the_group(groups: Tensor) -> None:
    z = features()
    scores, alpha = ridge((z @ z.T)[None], goals(groups=groups), strength())
    np.testing.assert_allclose(scores[0], refitted(z, TARGETS, groups, 3), atol=1e-9)
    whole = closed_form_ridge(z.numpy(), TARGETS.numpy(), 3, STRENGTH)
    np.testing.assert_allclose(z.T @ alpha[0], whole[:-1], atol=1e-9)
    np.testing.assert_allclose(alpha[0].sum(dim=0), whole[-1], atol=1e-9)


def test_the_whole_fit_is_the_ridge_head() -> None:
    z = features()
    linear = heads.ridge(z, TARGETS, 3, torch.ones(1, 12, dtype=torch.bool), strength=STRENGTH)
    _, alpha = ridge((z @ z.T)[None], goals(), strength())
    np.testing.assert_allclose(alpha[0].T @ z, linear.weight[0], atol=1e-10)


def test_twelve_scans_weigh_no_more_than_one() -> None:
    z, targets = features(13, seed=3), torch.tensor([0] * 12 + [1])
    _, alpha = ridge((z @ z.T)[None], goals(targets, torch.arange(13), 2), strength())
    expected = closed_form_ridge(z.numpy(), targets.numpy(), 2, STRENGTH)
    np.testing.assert_allclose(z.T @ alpha[0], expected[:-1], atol=1e-9)


def test_padding_changes_nothing() -> None:
    """Tasks of several sizes and numbers of classes side by side, whatever stands in the padding."""
    few = torch.tensor([1, 0, 1])
    tasks = [fitted(TARGETS, GROUPS, 3), fitted(few, torch.tensor([0, 0, 4]), 2, features(3, seed=1))]
    kernel = torch.full((2, 12, 12), 7.0, dtype=torch.float64)
    for i, found in enumerate(tasks):
        n = len(found.support)
        kernel[i, :n, :n] = found.support @ found.support.T
    both = Goals.of(tasks)
    scores, alpha = ridge(kernel, both, strength(count=2))
    losses = both.losses(3.0 * scores)
    for i, found in enumerate(tasks):
        n, own = len(found.support), Goals.of([found])
        one, dual = ridge(kernel[i : i + 1, :n, :n], own, strength())
        np.testing.assert_allclose(scores[i, :n, : found.ways], one[0], atol=1e-12)
        np.testing.assert_allclose(alpha[i, :n, : found.ways], dual[0], atol=1e-12)
        assert not alpha[i, n:].any()
        assert both.judged[i].tolist() == own.judged[0].tolist() + [False] * (12 - n)
        assert losses[i].item() == pytest.approx(own.losses(3.0 * one)[0].item(), abs=1e-12)
    assert both.limited(scores)[1, 0, 2] == UNKNOWN


@pytest.mark.parametrize("seed", range(5))
def test_what_can_be_judged_by_brute_force(seed: int) -> None:
    random = np.random.default_rng(seed)
    targets, groups = (torch.tensor(random.integers(0, high, 30)) for high in (4, 9))
    found = goals(targets, groups, 4)
    for i in range(30):
        others = [j for j in range(30) if groups[j] != groups[i]]
        assert bool(found.judged[0, i]) == any(bool(targets[j] == targets[i]) for j in others)
        assert found.together[0, i].tolist() == (groups == groups[i]).tolist()


def test_a_class_of_one_group_is_not_judged_and_its_scores_are_finite() -> None:
    targets, groups = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 2, 2])
    found, z = goals(targets, groups, 2), features(4)
    assert found.judged[0].tolist() == [True, True, False, False]
    assert torch.isfinite(ridge((z @ z.T)[None], found, strength())[0]).all()


def test_losses_by_hand() -> None:
    targets, groups = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2])
    scores = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [5.0, 5.0]]], dtype=torch.float64)
    expected = np.log(1 + np.exp(-2.0)) + np.log(1 + np.exp(1.0))  # the only scan of class 1 is not judged
    assert goals(targets, groups, 2).losses(scores).tolist() == pytest.approx([expected])


def test_times_repeats_each_support() -> None:
    both = Goals.of([fitted(TARGETS, GROUPS, 3), fitted(TARGETS.flip(0), GROUPS, 3)])
    thrice = both.times(3)
    for each in fields(Goals):
        value = getattr(thrice, each.name)
        assert torch.equal(value[2], getattr(both, each.name)[0])
        assert torch.equal(value[3], getattr(both, each.name)[1])


def test_the_gradient_in_features_and_strength_is_that_of_finite_differences() -> None:
    found = goals()

    def scores(z: Tensor, log_strength: Tensor) -> tuple[Tensor, Tensor]:
        return ridge((z @ z.T)[None], found, log_strength.exp())

    z, log_strength = features().requires_grad_(), strength().log().requires_grad_()
    assert torch.autograd.gradcheck(scores, (z, log_strength))
    assert torch.autograd.gradgradcheck(scores, (z, log_strength))
