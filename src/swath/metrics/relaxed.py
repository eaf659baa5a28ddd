"""Relaxed precision, recall and F1 of one class: a pixel is right where one of the other side lies near.

Source: Mnih, "Machine Learning for Aerial Image Labeling" (thesis, Toronto 2013), where 3 pixels are allowed.
Roofs are labelled some pixels beside where they stand, and this does not count such pixels as errors.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from swath.metrics.bootstrap import percentile_interval


def relaxed_counts(
    predicted: np.ndarray, true: np.ndarray, core: tuple[slice, slice], slack: float, known: np.ndarray | None = None
) -> np.ndarray:
    """Count the pixels of a class that have one of the other side within `slack` pixels (Euclidean).

    Args:
        predicted: Where the class is said to be, bool `[H, W]`.
        true: Where it is, bool `[H, W]`.
        core: Where pixels are counted; those around it may be near one that is.
        slack: Distance in pixels.
        known: Where the truth is known, bool `[H, W]`; others do not count. None for everywhere.

    Returns:
        int64 `[4]`: predicted near true, predicted, true near predicted, true.
    """
    if known is not None:
        predicted, true = predicted & known, true & known
    near_true, near_predicted = _near(true, slack)[core], _near(predicted, slack)[core]
    said, is_ = predicted[core], true[core]
    return np.array([(said & near_true).sum(), said.sum(), (is_ & near_predicted).sum(), is_.sum()], np.int64)


def relaxed_scores(counts: np.ndarray) -> dict[str, float]:
    """Relaxed precision, recall and F1 of what `relaxed_counts` gave; NaN where undefined."""
    near_true, predicted, near_predicted, true = counts.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = np.divide(near_true, predicted), np.divide(near_predicted, true)
        f1 = np.divide(2 * precision * recall, precision + recall) if precision + recall != 0 else 0.0
    return {"relaxed_precision": float(precision), "relaxed_recall": float(recall), "relaxed_f1": float(f1)}


class Relaxed:
    """Relaxed counts that grow patch by patch, kept by unit so that units can be drawn again.

    Args:
        slack: Distance in pixels.
    """

    def __init__(self, slack: float = 3) -> None:
        self.slack = slack
        self.units: dict[Hashable, np.ndarray] = {}

    def update(
        self,
        predicted: np.ndarray,
        true: np.ndarray,
        core: tuple[slice, slice],
        known: np.ndarray | None = None,
        unit: Hashable = None,
    ) -> None:
        """Count one patch of a unit; see `relaxed_counts`."""
        found = relaxed_counts(predicted, true, core, self.slack, known)
        self.units[unit] = self.units.get(unit, 0) + found

    @property
    def counts(self) -> np.ndarray:
        """int64 `[4]` over all units."""
        return sum(self.units.values(), np.zeros(4, np.int64))

    def intervals(
        self, *, level: float, resamples: int, seed: int
    ) -> dict[str, tuple[float, float] | tuple[None, None]]:
        """Bootstrap interval of each score; see `swath.metrics.confusion.Confusion.intervals`."""
        stacked = np.stack(list(self.units.values()))
        return percentile_interval(stacked, relaxed_scores, level=level, resamples=resamples, seed=seed)


def _near(mask: np.ndarray, distance: float) -> np.ndarray:
    """Where a pixel of the mask lies within the distance."""
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return np.zeros(mask.shape, bool)
    near: np.ndarray = distance_transform_edt(~mask) <= distance
    return near
