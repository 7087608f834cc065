"""Heads against scikit-learn, closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SkRidge
from sklearn.neighbors import NearestCentroid
from torch import Tensor
from torch.nn import functional as F

from medmeta.models import heads
from medmeta.models.stack import HeadSetting, fit_stack

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


def with_intercept(z: Tensor) -> np.ndarray:
    return torch.cat([z, torch.full((len(z), 1), heads.INTERCEPT**0.5, dtype=z.dtype)], dim=1).numpy()


def test_ridge_equals_scikit_learn(data: tuple[Tensor, Tensor]) -> None:
    z, targets = data
    ours = heads.ridge(z, targets, CLASSES, everyone(17), strength=0.3).scores(z)[0]
    weight = heads.balance(targets, CLASSES, everyone(17))[0]
    goal = F.one_hot(targets, CLASSES).double() - 1 / CLASSES
    theirs = SkRidge(alpha=0.3, fit_intercept=False).fit(with_intercept(z), goal, sample_weight=weight)
    np.testing.assert_allclose(ours, theirs.predict(with_intercept(z)), atol=1e-10)


def test_logistic_equals_scikit_learn(data: tuple[Tensor, Tensor]) -> None:
    z, targets = data
    fitted = heads.logistic(z, targets, CLASSES, everyone(17), strength=0.03, tolerance=1e-10, steps=20_000)
    weight = heads.balance(targets, CLASSES, everyone(17))[0]
    theirs = LogisticRegression(C=1 / 0.03, fit_intercept=False, tol=1e-12, max_iter=100_000)
    theirs.fit(with_intercept(z), targets, sample_weight=weight)
    ours = torch.softmax(fitted.scores(z)[0], dim=1)
    np.testing.assert_allclose(ours, theirs.predict_proba(with_intercept(z)), atol=1e-6)


def test_logistic_stops_within_a_thousandth_of_the_answer(data: tuple[Tensor, Tensor]) -> None:
    z, targets = data
    quick = heads.logistic(z, targets, CLASSES, everyone(17), strength=0.03)
    exact = heads.logistic(z, targets, CLASSES, everyone(17), strength=0.03, tolerance=1e-12, steps=20_000)
    gap = torch.softmax(quick.scores(z)[0], dim=1) - torch.softmax(exact.scores(z)[0], dim=1)
    assert gap.abs().max() < 2e-3


def test_prototypes_equal_nearest_centroid_on_unit_prototypes(data: tuple[Tensor, Tensor]) -> None:
    z, targets = data
    ours = heads.prototypes(z, targets, CLASSES, everyone(17))
    for label in range(CLASSES):
        centroid = NearestCentroid().fit(z, targets).centroids_[label]
        np.testing.assert_allclose(ours.weight[0, label], centroid / np.linalg.norm(centroid), atol=1e-12)


@pytest.mark.parametrize("name", ["prototypes", "ridge", "logistic"])
def test_a_mask_is_the_same_as_leaving_the_scans_away(name: str, data: tuple[Tensor, Tensor]) -> None:
    z, targets = data
    options = {"ridge": {"strength": 0.3}, "logistic": {"strength": 0.03, "tolerance": 1e-10, "steps": 9999}}
    fit = getattr(heads, name)
    masks = torch.ones(3, 17, dtype=torch.bool)
    masks[0, :2] = False
    masks[1, 7:11] = False
    masks[2, 13:] = False  # the whole of class 2
    masked = fit(z, targets, CLASSES, masks, **options.get(name, {})).scores(z)
    for row in range(2):
        kept = masks[row]
        alone = fit(z[kept], targets[kept], CLASSES, everyone(int(kept.sum())), **options.get(name, {}))
        torch.testing.assert_close(masked[row], alone.scores(z)[0], atol=1e-6, rtol=0)
    assert torch.isneginf(masked[2, :, 2]).all()
    assert torch.isfinite(masked[2, :, :2]).all()


def test_balance_gives_each_class_the_same_say() -> None:
    weights = heads.balance(torch.tensor([0, 0, 0, 1]), 2, everyone(4))[0]
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 2 / 3, 2 / 3, 2.0], dtype=torch.float64))


def test_temperature_follows_the_evidence_and_its_prior() -> None:
    scores = torch.randn(4000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    random = torch.Generator().manual_seed(2)
    chances = torch.softmax(3.0 * scores, dim=1)
    targets = torch.multinomial(chances, 1, generator=random)[:, 0]
    assert heads.fit_temperature(scores, targets, prior=1.0) == pytest.approx(3.0, rel=0.12)
    assert heads.fit_temperature(scores[:0], targets[:0], prior=1.7) == 1.7
    few = heads.fit_temperature(scores[:2], targets[:2], prior=1.0)
    assert 0.4 < few < 2.5


def test_the_better_head_gets_the_larger_share(data: tuple[Tensor, Tensor]) -> None:
    z, targets = data

    def hopeless(z: Tensor, targets: Tensor, classes: int, masks: Tensor) -> heads.Linear:
        return heads.Linear(
            torch.zeros(len(masks), classes, z.shape[1]).double(), torch.zeros(len(masks), classes)
        )

    settings = (
        HeadSetting("good", heads.prototypes, 20.0),
        HeadSetting("hopeless", hopeless, 1.0),
    )
    stack = fit_stack(settings, z, targets, CLASSES, [[i] for i in range(17)])
    assert stack.shares.sum().item() == pytest.approx(1.0)
    assert stack.shares[0] > 0.9


def test_stack_probabilities_by_hand() -> None:
    from medmeta.models.stack import Stack

    stack = Stack(
        torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]], dtype=torch.float64),
        torch.zeros(2, 2, dtype=torch.float64),
        torch.tensor([2.0, 1.0], dtype=torch.float64),
        torch.tensor([0.75, 0.25], dtype=torch.float64),
    )
    found = stack.probabilities(torch.tensor([[1.0, 0.0]], dtype=torch.float64))[0, 0].item()
    assert found == pytest.approx(0.75 * np.exp(2) / (np.exp(2) + 1) + 0.25 * 0.5)
