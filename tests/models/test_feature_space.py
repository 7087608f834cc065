"""The heads' space: inner products after weighing and stretching, against explicit transforms of feature rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from synthetic_tasks import BLOCKS, explicit_map
from torch import Tensor

from medmeta.models.feature_space import (
    Grams,
    block_scale,
    embed,
    grams,
    kernel,
    primal,
    stretch,
    within_class_basis,
)

SIZE = sum(BLOCKS)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.tensor(np.random.default_rng((seed, *shape)).normal(size=shape))


def orthonormal(rank: int) -> Tensor:
    basis: Tensor = torch.linalg.qr(normal(SIZE, rank)).Q
    return basis


def test_embedding_gives_unit_rows_with_equal_blocks_around_the_centre() -> None:
    features, centre = normal(5, SIZE).float(), normal(SIZE, seed=3)
    found = embed(features, BLOCKS, centre)
    moved = features.double().numpy() - centre.numpy()
    first, second = moved[:, : BLOCKS[0]], moved[:, BLOCKS[0] :]
    expected = np.hstack([b / np.linalg.norm(b, axis=1, keepdims=True) for b in (first, second)]) / np.sqrt(2)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected, atol=1e-14)
    np.testing.assert_allclose(found.norm(dim=1), 1.0, atol=1e-14)


def test_blocks_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(RuntimeError, match="split"):
        embed(normal(5, SIZE), (8, 7), torch.zeros(SIZE))


def one(products: Grams) -> Grams:
    """A batch of one task."""
    return Grams(products.gram[None], products.along[None], products.cross[None], products.cross_along[None])


def test_the_kernel_is_that_of_transformed_rows() -> None:
    s, q, basis = normal(7, SIZE), normal(4, SIZE, seed=1), orthonormal(3)
    weights, gains = torch.tensor([0.6, 1.3]).double(), torch.tensor([0.2, 1.7, 1.0]).double()
    products = one(grams(s, q, basis, BLOCKS))
    linear = explicit_map(basis, gains, block_scale(weights, BLOCKS))
    moved_s, moved_q = s.numpy() @ linear, q.numpy() @ linear
    within = kernel(products.gram, products.along, products.along, weights[None], gains[None])[0]
    across = kernel(products.cross, products.cross_along, products.along, weights[None], gains[None])[0]
    np.testing.assert_allclose(within, moved_s @ moved_s.T, atol=1e-12)
    np.testing.assert_allclose(across, moved_q @ moved_s.T, atol=1e-12)


def test_weights_and_gains_of_one_leave_the_inner_products() -> None:
    s, q, basis = normal(7, SIZE), normal(4, SIZE, seed=1), orthonormal(3)
    products = one(grams(s, q, basis, BLOCKS))
    ones = (torch.ones(1, 2).double(), torch.ones(1, 3).double())
    found = kernel(products.cross, products.cross_along, products.along, *ones)[0]
    np.testing.assert_allclose(found, q @ s.T, atol=1e-12)


def test_a_block_scale_repeats_each_weight() -> None:
    assert block_scale(torch.tensor([2.0, 5.0]), (2, 3)).tolist() == [2.0, 2.0, 5.0, 5.0, 5.0]


def test_stretching_moves_only_along_the_basis() -> None:
    x, basis, gains = normal(5, SIZE), orthonormal(3), torch.tensor([0.5, 2.0, 1.0]).double()
    found = stretch(x, basis, gains)
    np.testing.assert_allclose(found @ basis, (x @ basis) * gains, atol=1e-12)
    rest = torch.eye(SIZE).double() - basis @ basis.T
    np.testing.assert_allclose(found @ rest, x @ rest, atol=1e-12)
    np.testing.assert_allclose(found, x.numpy() @ explicit_map(basis, gains, torch.ones(SIZE)), atol=1e-12)


def test_the_basis_is_that_of_numpys_within_class_covariance() -> None:
    sets = [(normal(30, SIZE), torch.arange(30) % 3), (3 * normal(12, SIZE, seed=2), torch.arange(12) % 2)]
    covariance = np.zeros((SIZE, SIZE))
    for z, targets in sets:
        inner = np.zeros((SIZE, SIZE))
        for c in np.unique(targets):
            inner += np.cov(z[targets == c].T, bias=True) * float((targets == c).sum())
        covariance += inner / len(z) / len(sets)
    values, vectors = np.linalg.eigh(covariance)
    basis, variances = within_class_basis(sets, 4)
    np.testing.assert_allclose(variances, values[::-1][:4], atol=1e-12)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-12)
    top = vectors[:, -4:]
    np.testing.assert_allclose(basis @ basis.T, top @ top.T, atol=1e-8)
    np.testing.assert_allclose(
        np.abs(np.diag(basis.T.numpy() @ top[:, ::-1])), 1.0, atol=1e-8
    )  # largest first


def test_every_set_has_the_same_say() -> None:
    small, large = (normal(12, SIZE), torch.arange(12) % 2), (normal(20, SIZE, seed=4), torch.arange(20) % 4)
    thrice = (torch.cat([large[0]] * 3), torch.cat([large[1]] * 3))
    for a, b in zip(
        within_class_basis([small, large], 3), within_class_basis([small, thrice], 3), strict=True
    ):
        np.testing.assert_allclose(a.abs(), b.abs(), atol=1e-8)


def test_weights_of_dual_heads_give_the_kernel_s_scores() -> None:
    s, q, basis = normal(7, SIZE), normal(4, SIZE, seed=1), orthonormal(3)
    weights = torch.tensor([[0.6, 1.3], [1.1, 0.4]]).double()
    gains = torch.tensor([[0.2, 1.7, 1.0], [1.0, 0.5, 2.0]]).double()
    products, dual = grams(s, q, basis, BLOCKS), normal(2, 7, 3, seed=2)
    found = primal(s, products.along, dual, weights, gains, basis, BLOCKS)
    for head in range(2):
        linear = explicit_map(basis, gains[head], block_scale(weights[head], BLOCKS))
        expected = (q.numpy() @ linear) @ (s.numpy() @ linear).T @ dual[head].numpy()
        np.testing.assert_allclose(q @ found[head].T, expected, atol=1e-12)
