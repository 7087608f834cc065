"""The space the meta-model's heads live in: unit-length feature blocks, their weights, and a learned metric.

Features come in blocks (the original trunk's, the medical trunk's). Each is brought to unit length; a task weighs the
blocks and stretches the space along a fixed orthonormal basis ``U`` of the directions in which scans of one
class differ on the meta-train sets (within-class covariance normalisation, Hatch et al. 2006). Both act on inner
products alone, so an episode works on small Gram matrices and never on feature vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Grams:
    """Inner products of the scans of T tasks, block by block; B blocks, r basis directions.

    Attributes:
        gram: ``(T, B, n, n)`` support with support.
        along: ``(T, B, n, r)`` support along the basis.
        cross: ``(T, B, m, n)`` query with support.
        cross_along: ``(T, B, m, r)`` query along the basis.
    """

    gram: Tensor
    along: Tensor
    cross: Tensor
    cross_along: Tensor


def embed(features: Tensor, blocks: Sequence[int], centre: Tensor) -> Tensor:
    """Features ``(n, D)`` to float64 rows of unit length to which each of B blocks gives a share of ``1 / B``.

    Args:
        features: blocks of the given lengths, one after the other.
        blocks: B lengths.
        centre: ``(D,)`` mean over the meta-train sets, taken away first: what all medical scans have in common says
            nothing, and would drown the rest in blocks whose values are all of one sign.

    Raises:
        RuntimeError: the blocks' lengths do not add up to D.
    """
    parts = torch.split(features.to(torch.float64) - centre, list(blocks), dim=1)
    joined: Tensor = torch.cat([F.normalize(part, dim=1) for part in parts], dim=1)
    return joined / math.sqrt(len(parts))


def grams(support: Tensor, query: Tensor, basis: Tensor, blocks: Sequence[int]) -> Grams:
    """Inner products of one task's embedded ``(n, D)`` support and ``(m, D)`` query, without the tasks' dimension.

    Args:
        basis: ``(D, r)``, of the features' type, in whose precision products are taken; the result is float64.
    """
    n, sizes = len(support), list(blocks)
    rows = torch.split(torch.cat([support, query]), sizes, dim=1)
    beside = torch.stack([row @ row[:n].T for row in rows]).to(torch.float64)
    along = torch.stack([row @ u for row, u in zip(rows, torch.split(basis, sizes), strict=True)])
    along = along.to(torch.float64)
    return Grams(beside[:, :n], along[:, :n], beside[:, n:], along[:, n:])


def kernel(gram: Tensor, left: Tensor, right: Tensor, block_weights: Tensor, gains: Tensor) -> Tensor:
    """Inner products after weighing blocks and stretching the basis.

    Args:
        gram: ``(T, B, p, n)`` inner products by block.
        left, right: ``(T, B, p, r)`` and ``(T, B, n, r)`` components along the basis.
        block_weights: ``(T, B)`` factor of each block.
        gains: ``(T, r)`` factor along each direction; 1 leaves it as it is.

    Returns:
        ``(T, p, n)``.
    """
    plain = torch.einsum("tb,tbpn->tpn", block_weights**2, gram)
    p = torch.einsum("tb,tbpr->tpr", block_weights, left)
    n = p if right is left else torch.einsum("tb,tbnr->tnr", block_weights, right)
    return plain + (p * (gains[:, None, :] ** 2 - 1.0)) @ n.mT


def block_scale(block_weights: Tensor, blocks: Sequence[int]) -> Tensor:
    """``(D,)``: the weight of the block each feature belongs to."""
    return torch.cat([weight.expand(size) for weight, size in zip(block_weights, blocks, strict=True)])


def stretch(x: Tensor, basis: Tensor, gains: Tensor) -> Tensor:
    """Rows ``(n, D)`` stretched by ``gains`` along the basis; a symmetric map, so it also pulls weights back."""
    return x + (x @ basis * (gains - 1.0)) @ basis.T


def primal(
    x: Tensor,
    along: Tensor,
    dual: Tensor,
    block_weights: Tensor,
    gains: Tensor,
    basis: Tensor,
    blocks: Sequence[int],
) -> Tensor:
    """Weights on embedded features of F heads that stand as dual coefficients in the space of `kernel`.

    Args:
        x: ``(n, D)`` float64 embedded support.
        along: ``(B, n, r)`` its components along the basis, as in `Grams`.
        dual: ``(F, n, C)`` coefficients of each head.
        block_weights, gains: ``(F, B)`` and ``(F, r)``, as in `kernel`.
        basis: ``(D, r)``.

    Returns:
        ``(F, C, D)``.
    """
    scale = torch.stack([block_scale(weights, blocks) for weights in block_weights])[:, None]
    shift = dual.mT @ torch.einsum("fb,bnr->fnr", block_weights, along) * (gains[:, None, :] ** 2 - 1.0)
    # Head by head, so that equal heads have equal weights to the last bit.
    plain, moved = dual.mT @ x.expand(len(dual), -1, -1), (basis.expand(len(dual), -1, -1) @ shift.mT).mT
    return (plain * scale + moved) * scale


#: Rows of a data set that the within-class covariance is taken over, evenly spread; more change little.
COVARIANCE_ROWS = 400


def within_class_basis(sets: Sequence[tuple[Tensor, Tensor]], rank: int) -> tuple[Tensor, Tensor]:
    """Leading directions of the within-class covariance, every data set with the same say.

    Args:
        sets: embedded features ``(n, D)`` and targets ``(n,)`` of each meta-train set.
        rank: r, at most the number of rows in all.

    Returns:
        basis ``(D, r)`` with orthonormal columns, and the variances ``(r,)`` along them, largest first.
    """
    residuals = []
    for rows, targets in sets:
        z = rows.to(torch.float64)
        counts = torch.bincount(targets)
        sums = torch.zeros(len(counts), z.shape[1], dtype=z.dtype).index_add_(0, targets, z)
        spread = z - (sums / counts.clamp(min=1)[:, None])[targets]
        chosen = torch.arange(0, len(z), math.ceil(len(z) / COVARIANCE_ROWS))
        residuals.append(spread[chosen] / math.sqrt(len(chosen) * len(sets)))
    joined = torch.cat(residuals)
    # The rows' Gram matrix has the covariance's eigenvalues, and is the smaller of the two.
    values, vectors = torch.linalg.eigh(joined @ joined.T)
    values, vectors = values[-rank:].flip(0).clamp(min=1e-18), vectors[:, -rank:].flip(1)
    basis, _ = torch.linalg.qr(joined.T @ vectors / values.sqrt())
    return basis.contiguous(), values.contiguous()
