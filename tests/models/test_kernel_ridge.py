"""The anchor: left-out scores against refitting without each group, and their gradient against differences."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from synthetic_tasks import closed_form_ridge
from torch import Tensor

from medmeta.models import heads
from medmeta.models.kernel_ridge import Folds, dual_weights, group_folds, left_out_scores

TARGETS = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
GROUPS = torch.tensor([3, 3, 1, 1, 4, 5, 6, 6, 8, 9, 9, 2])
STRENGTH = torch.tensor(0.3, dtype=torch.float64)


def features(n: int = 12, seed: int = 0) -> Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=(n, 5)))


def refitted(z: Tensor, targets: Tensor, classes: int, masks: Tensor, fold_of: Tensor) -> np.ndarray:
    rows = []
    for i, row in enumerate(z.numpy()):
        kept = masks[fold_of[i]].numpy()
        weights = closed_form_ridge(z.numpy()[kept], targets.numpy()[kept], classes, float(STRENGTH))
        rows.append(np.append(row, 1.0) @ weights)
    return np.stack(rows)


@pytest.mark.parametrize("most", [None, 4, 2])
def test_left_out_scores_are_those_of_refitting_without_the_group(most: int | None) -> None:
    z, folds = features(), group_folds(GROUPS, TARGETS, most)
    scores, alpha = left_out_scores(z @ z.T, TARGETS, 3, folds, STRENGTH)
    np.testing.assert_allclose(scores, refitted(z, TARGETS, 3, folds.masks, folds.fold_of), atol=1e-7)
    whole = closed_form_ridge(z.numpy(), TARGETS.numpy(), 3, float(STRENGTH))
    np.testing.assert_allclose(z.T @ alpha, whole[:-1], atol=1e-7)
    np.testing.assert_allclose(alpha.sum(dim=0), whole[-1], atol=1e-7)


def test_they_are_those_of_the_ridge_head_with_masks() -> None:
    z, folds = features(), group_folds(GROUPS, TARGETS)
    linear = heads.ridge(z, TARGETS, 3, folds.masks, strength=float(STRENGTH))
    expected = linear.scores(z)[folds.fold_of, torch.arange(len(z))]
    found, _ = left_out_scores(z @ z.T, TARGETS, 3, folds, STRENGTH)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_twelve_scans_weigh_no_more_than_one() -> None:
    z, targets = features(13, seed=3), torch.tensor([0] * 12 + [1])
    masks = torch.ones(1, 13, dtype=torch.bool)
    found = z.T @ dual_weights(z @ z.T, targets, 2, masks, STRENGTH)[0]
    expected = closed_form_ridge(z.numpy(), targets.numpy(), 2, float(STRENGTH))
    np.testing.assert_allclose(found, expected[:-1], atol=1e-7)


@pytest.mark.parametrize("most", [None, 3, 50])
@pytest.mark.parametrize("seed", range(5))
def test_no_fold_splits_a_group_by_brute_force(seed: int, most: int | None) -> None:
    random = np.random.default_rng(seed)
    targets, groups = (torch.tensor(random.integers(0, high, 30)) for high in (4, 9))
    folds = group_folds(groups, targets, most)
    count = len(groups.unique()) if most is None else min(most, len(groups.unique()))
    assert folds.masks.shape == (1 + count, 30)
    assert folds.masks[0].all()
    for mask in folds.masks[1:]:
        assert not set(groups[mask].tolist()) & set(groups[~mask].tolist())
        assert (~mask).any()
    # every scan is left out once, by the fit that judges it
    assert (~folds.masks).sum(dim=0).tolist() == [1] * 30
    for i in range(30):
        mask = folds.masks[folds.fold_of[i]]
        assert not mask[i]
        assert bool(folds.judged[i]) == any(bool(mask[j]) and targets[j] == targets[i] for j in range(30))


def test_bundles_leave_no_class_out() -> None:
    targets = torch.arange(4).repeat(10)  # forty groups of four classes
    folds = group_folds(torch.arange(40), targets, 10)
    assert folds.judged.all()
    assert all(len(targets[mask].unique()) == 4 for mask in folds.masks)


def test_a_class_of_one_group_is_not_judged_and_its_scores_are_finite() -> None:
    targets, groups = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 2, 2])
    folds = group_folds(groups, targets)
    assert folds.judged.tolist() == [True, True, False, False]
    z = features(4)
    assert torch.isfinite(left_out_scores(z @ z.T, targets, 2, folds, STRENGTH)[0]).all()


def test_the_gradient_in_features_and_strength_is_that_of_finite_differences() -> None:
    folds = group_folds(GROUPS, TARGETS)

    def scores(folds: Folds, z: Tensor, log_strength: Tensor) -> tuple[Tensor, Tensor]:
        return left_out_scores(z @ z.T, TARGETS, 3, folds, log_strength.exp())

    z = features().requires_grad_()
    assert torch.autograd.gradcheck(partial(scores, folds), (z, STRENGTH.log().requires_grad_()))
