"""Whether a probability of 80 % is right 8 times in 10."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medmeta.evaluation.result import ReliabilityPoint

#: Equally wide bins of the reliability diagram; the few patients seen here fill no more.
BINS = 5


def brier(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Half the squared distance of each scan's probabilities to its label; their mean is the Brier score.

    Args:
        probabilities: ``(n, C)`` float64, rows sum to 1.
        targets: ``(n,)`` class indices.

    Returns:
        ``(n,)`` in [0, 1]: 0 is certain and right, 1 certain and wrong. With two classes it is the usual binary
        score.

    References:
        Brier GW. Verification of forecasts expressed in terms of probability. Monthly Weather Review
        1950;78:1-3.
    """
    wanted = np.eye(probabilities.shape[1])[targets]
    found: NDArray[np.float64] = ((probabilities - wanted) ** 2).sum(axis=1) / 2
    return found


def reliability(
    probabilities: NDArray[np.float64], targets: NDArray[np.int64], bins: int = BINS
) -> tuple[ReliabilityPoint, ...]:
    """For answers given about equal probability: how sure the model was, and how often it was right.

    Args:
        probabilities: ``(n, C)`` float64; the highest of a row is the confidence of the answer.
        targets: ``(n,)`` class indices.
        bins: equally wide bins of (0, 1]; empty ones are left out.

    References:
        DeGroot MH, Fienberg SE. The comparison and evaluation of forecasters. The Statistician 1983;32:12-22.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return tuple(
        ReliabilityPoint(
            float(confidence[place == b].mean()), float(right[place == b].mean()), int((place == b).sum())
        )
        for b in range(bins)
        if (place == b).any()
    )


def calibration_error(points: tuple[ReliabilityPoint, ...]) -> float:
    """Expected calibration error in [0, 1]: the bins' gaps, each weighted by its scans.

    References:
        Naeini MP, Cooper GF, Hauskrecht M. Obtaining well calibrated probabilities using Bayesian binning.
        AAAI 2015:2901-2907.
    """
    total = sum(point.n_scans for point in points)
    return sum(point.n_scans * abs(point.confidence - point.right) for point in points) / total
