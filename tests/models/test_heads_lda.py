"""Shrinkage LDA in the dual against scikit-learn's in the primal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor
from torch.nn import functional as F

from medmeta.models.heads import lda

CLASSES = 3


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    targets = torch.tensor([0] * 8 + [1] * 5 + [2] * 4)
    centres = torch.randn(CLASSES, 40, generator=random, dtype=torch.float64)
    z = centres[targets] + 1.5 * torch.randn(17, 40, generator=random, dtype=torch.float64)
    return F.normalize(z, dim=1), targets


def everyone(n: int) -> Tensor:
    return torch.ones(1, n, dtype=torch.bool)


@pytest.mark.parametrize("shrinkage", [0.02, 0.3, 0.9, 1.0])
def test_lda_equals_scikit_learn(shrinkage: float, data: tuple[Tensor, Tensor]) -> None:
    z, targets = data
    fresh = F.normalize(torch.randn(50, 40, generator=torch.Generator().manual_seed(1)).double(), dim=1)
    ours = torch.softmax(lda(z, targets, CLASSES, everyone(17), shrinkage=shrinkage).scores(fresh)[0], dim=1)
    alike = np.full(CLASSES, 1 / CLASSES)  # classes count alike, as in every head
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=alike).fit(z, targets)
    np.testing.assert_allclose(ours, theirs.predict_proba(fresh), atol=1e-8)
    assert (ours.argmax(dim=1).numpy() == theirs.predict(fresh)).all()
    assert len(set(ours.argmax(dim=1).tolist())) == CLASSES


def test_lda_equals_scikit_learn_with_fewer_features_than_scans() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 4)) + np.repeat(np.eye(3, 4), 20, axis=0), np.repeat(np.arange(3), 20)
    fitted = lda(torch.tensor(x), torch.tensor(y), 3, everyone(60), shrinkage=0.1)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(x, y)
    ours = torch.softmax(fitted.scores(torch.tensor(x))[0], dim=1)
    np.testing.assert_allclose(ours, theirs.predict_proba(x), atol=1e-9)


def test_a_mask_is_the_same_as_leaving_the_scans_away(data: tuple[Tensor, Tensor]) -> None:
    z, targets = data
    masks = torch.ones(3, 17, dtype=torch.bool)
    masks[0, :2] = False
    masks[1, 7:11] = False
    masks[2, 13:] = False  # the whole of class 2
    masked = lda(z, targets, CLASSES, masks, shrinkage=0.3).scores(z)
    for row in range(3):
        kept = masks[row]
        known = 2 if row == 2 else CLASSES
        alone = lda(z[kept], targets[kept], known, everyone(int(kept.sum())), shrinkage=0.3).scores(z)[0]
        torch.testing.assert_close(masked[row, :, :known], alone, atol=1e-8, rtol=1e-8)
    assert torch.isneginf(masked[2, :, 2]).all()


def test_one_scan_a_class_is_the_nearest_scan(data: tuple[Tensor, Tensor]) -> None:
    z, targets = data
    first = torch.tensor([0, 8, 13])
    scores = lda(z[first], targets[first], CLASSES, everyone(3), shrinkage=0.3).scores(z)[0]
    nearest = torch.cdist(z, z[first]).argmin(dim=1)
    assert torch.equal(scores.argmax(dim=1), nearest)
    assert torch.isfinite(scores).all()
    assert scores.abs().max() < 1e4
