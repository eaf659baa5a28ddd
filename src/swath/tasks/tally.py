"""What a segmentation got right, patch by patch, and the scores of it."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from swath.data.classes import IGNORE, Classes
from swath.metrics.confusion import Confusion, per_class, summary
from swath.metrics.relaxed import Relaxed, relaxed_scores
from swath.tasks.scores import Score


class Tally:
    """A confusion matrix by unit and, for one class of most interest, relaxed counts.

    Args:
        classes: Legend.
        target: Name of the class whose own IoU, F1 and relaxed F1 are scored too; None where none is.
    """

    def __init__(self, classes: Classes, target: str | None = None) -> None:
        self.confusion = Confusion(len(classes))
        self._target = target
        self._index = None if target is None else classes.names.index(target)
        self._relaxed = Relaxed()

    def update(self, predicted: np.ndarray, true: np.ndarray, core: tuple[slice, slice], unit: Hashable) -> None:
        """Count the `core` of a patch of class indices `[H, W]`."""
        self.confusion.update(predicted[core], true[core], unit)
        if self._index is not None:
            self._relaxed.update(predicted == self._index, true == self._index, core, true != IGNORE, unit)

    def scores(self, level: float, resamples: int, seed: int) -> dict[str, Score]:
        """The headline scores, and those of the class of most interest, with bootstrap intervals over units."""
        found = self._named(self.confusion.matrix)
        intervals = self.confusion.intervals(self._named, level=level, resamples=resamples, seed=seed)
        if self._index is not None:
            found |= relaxed_scores(self._relaxed.counts)
            intervals |= self._relaxed.intervals(level=level, resamples=resamples, seed=seed)
        return {name: Score(value, *intervals[name]) for name, value in found.items()}

    def _named(self, matrix: np.ndarray) -> dict[str, float]:
        found = summary(matrix)
        if self._index is not None:
            own = per_class(matrix)
            found |= {f"{self._target}_{name}": float(own[name][self._index]) for name in ("iou", "f1")}
        return found
