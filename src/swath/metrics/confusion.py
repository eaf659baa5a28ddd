"""Scores of classes from one confusion matrix over a whole data set.

Convention: rows are the truth, columns the prediction. A class that occurs neither in the truth nor in the prediction
has no score: it is NaN, and means over classes leave it out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

import numpy as np

from swath.errors import DataError
from swath.metrics.bootstrap import percentile_interval

#: Truth of a pixel that does not count.
_IGNORE = -1


def confusion_matrix(predicted: np.ndarray, true: np.ndarray, classes: int) -> np.ndarray:
    """Count pairs of classes.

    Args:
        predicted: Class indices, any shape.
        true: Class indices of the same shape; -1 does not count.
        classes: Number of classes K.

    Returns:
        int64 `[K, K]`, rows true, columns predicted.

    Raises:
        DataError: If the shapes differ or an index is not a class.
    """
    if predicted.shape != true.shape:
        raise DataError("Prediction and truth differ in shape", got=predicted.shape, expected=true.shape)
    counted = true != _IGNORE
    rows, columns = true[counted].astype(np.int64), predicted[counted].astype(np.int64)
    for name, values in (("truth", rows), ("prediction", columns)):
        if values.size and not 0 <= values.min() <= values.max() < classes:
            raise DataError(
                f"The {name} holds what is no class",
                got=f"{values.min()}..{values.max()}",
                expected=f"0..{classes - 1}",
            )
    return np.bincount(rows * classes + columns, minlength=classes**2).reshape(classes, classes)


class Confusion:
    """A confusion matrix that grows batch by batch, kept by unit so that units can be drawn again.

    Args:
        classes: Number of classes.

    Attributes:
        units: Matrix of each unit: a scene, a block, a tile.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.units: dict[Hashable, np.ndarray] = {}

    def update(self, predicted: np.ndarray, true: np.ndarray, unit: Hashable = None) -> None:
        """Count pixels of one unit; see `confusion_matrix`."""
        counted = confusion_matrix(predicted, true, self.classes)
        self.units[unit] = self.units[unit] + counted if unit in self.units else counted

    @property
    def matrix(self) -> np.ndarray:
        """int64 `[K, K]` over all units."""
        return sum(self.units.values(), np.zeros((self.classes, self.classes), np.int64))

    def intervals(
        self, scores: Callable[[np.ndarray], Mapping[str, float]], *, level: float, resamples: int, seed: int
    ) -> dict[str, tuple[float, float] | tuple[None, None]]:
        """Bootstrap interval of each score, units drawn with replacement; none where there is one unit only."""
        stacked = np.stack(list(self.units.values()))
        return percentile_interval(stacked, scores, level=level, resamples=resamples, seed=seed)


def per_class(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """IoU, F1, precision and recall of each class, `[K]` each, NaN where undefined."""
    hit = np.diagonal(matrix, axis1=-2, axis2=-1).astype(float)
    true, predicted = matrix.sum(-1), matrix.sum(-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "iou": hit / (true + predicted - hit),
            "f1": 2 * hit / (true + predicted),
            "precision": hit / predicted,
            "recall": hit / true,
        }


def accuracy(matrix: np.ndarray) -> float:
    """Share of pixels that are right."""
    return _ratio(np.trace(matrix), matrix.sum())


def kappa(matrix: np.ndarray) -> float:
    """Cohen's kappa: agreement beyond that of independent draws with the same margins (Cohen 1960, eq. 1)."""
    total = float(matrix.sum())
    chance = float((matrix.sum(0) / max(total, 1.0)) @ (matrix.sum(1) / max(total, 1.0)))
    return _ratio(accuracy(matrix) - chance, 1 - chance)


def summary(matrix: np.ndarray) -> dict[str, float]:
    """The headline scores: accuracy, mean IoU and mean F1 over the classes that occur, kappa."""
    scores = per_class(matrix)
    return {
        "accuracy": accuracy(matrix),
        "miou": macro_mean(scores["iou"]),
        "macro_f1": macro_mean(scores["f1"]),
        "kappa": kappa(matrix),
    }


def macro_mean(values: np.ndarray) -> float:
    """Mean of scores of classes, without those that are undefined; NaN where all are."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
