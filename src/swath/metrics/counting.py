"""Scores of counts: how many things each scene was said to hold, and how many it holds."""

from __future__ import annotations

import numpy as np

from swath.errors import DataError


def count_scores(predicted: np.ndarray, true: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """Scores of counts.

    Args:
        predicted: Count of each scene `[N]`.
        true: Its true count `[N]`.
        weights: How often each scene counts `[N]`, for a bootstrap; by default once.

    Returns:
        `count_mae`, the mean of |predicted - true|; `count_bias`, the mean of predicted - true; and, where a scene
        holds nothing, `empty_right`, the share of such in which nothing was counted (NaN where their weights are 0).

    Raises:
        DataError: If there are no scenes, or the counts are not as many.
    """
    predicted, true = np.asarray(predicted, float), np.asarray(true, float)
    if predicted.shape != true.shape or predicted.ndim != 1 or not len(true):
        raise DataError(
            "Counts do not belong together", got=f"{predicted.shape} and {true.shape}", expected="one a scene for both"
        )
    weights = np.ones(len(true)) if weights is None else weights
    error = predicted - true
    found = {
        "count_mae": float(weights @ np.abs(error) / weights.sum()),
        "count_bias": float(weights @ error / weights.sum()),
    }
    if (true == 0).any():
        empty = weights * (true == 0)
        found["empty_right"] = float(empty @ (predicted == 0) / empty.sum()) if empty.any() else float("nan")
    return found
