"""What maps of land use at two dates, and of the change between them, got right."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from swath.data.classes import IGNORE
from swath.metrics.bootstrap import percentile_interval
from swath.metrics.confusion import confusion_matrix, summary
from swath.metrics.semantic_change import change_miou, change_scores, second_score, separated_kappa
from swath.tasks.scores import Score


class ChangeTally:
    """Counts by unit: land use of both dates, change, and land use where it changed.

    Args:
        classes: Number of land uses K.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self.units: dict[Hashable, np.ndarray] = {}

    def update(
        self,
        predicted: tuple[np.ndarray, np.ndarray, np.ndarray],
        true: tuple[np.ndarray, np.ndarray],
        unit: Hashable = None,
    ) -> None:
        """Count pixels of one unit.

        Args:
            predicted: Class indices before and after, and whether a pixel changed; of one shape.
            true: Class indices before and after; -1 does not count, at both dates alike.
            unit: A scene, a tile.
        """
        before, after, changed = predicted
        counted = true[0] != IGNORE
        truly = (true[0] != true[1])[counted]
        said = changed[counted].astype(bool)
        use = np.zeros((self._classes, self._classes), np.int64)
        moved = np.zeros((self._classes + 1, self._classes + 1), np.int64)
        for guess, fact in ((before, true[0]), (after, true[1])):
            use += confusion_matrix(guess[counted], fact[counted], self._classes)
            moved += confusion_matrix(
                np.where(said, guess[counted] + 1, 0), np.where(truly, fact[counted] + 1, 0), self._classes + 1
            )
        change = confusion_matrix(said.astype(int), truly.astype(int), 2)
        found = np.concatenate([use.ravel(), moved.ravel(), change.ravel()])
        self.units[unit] = self.units[unit] + found if unit in self.units else found

    @property
    def total(self) -> np.ndarray:
        """Counts over all units."""
        return sum(self.units.values(), np.zeros(self._classes**2 + (self._classes + 1) ** 2 + 4, np.int64))

    def matrices(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Land use `[K, K]`, semantic change `[K + 1, K + 1]` and change `[2, 2]` of such counts."""
        edges = [self._classes**2, self._classes**2 + (self._classes + 1) ** 2]
        use, moved, change = np.split(counts, edges)
        side = self._classes
        return use.reshape(side, side), moved.reshape(side + 1, side + 1), change.reshape(2, 2)

    def named(self, counts: np.ndarray) -> dict[str, float]:
        """Scores of such counts."""
        use, moved, change = self.matrices(counts)
        headline, of_change = summary(use), change_scores(change)
        return {
            "miou": headline["miou"],
            "accuracy": headline["accuracy"],
            "change_f1": of_change["f1"],
            "change_iou": of_change["iou"],
            "change_miou": change_miou(moved),
            "sek": separated_kappa(moved),
            "second": second_score(moved),
        }

    def scores(self, level: float, resamples: int, seed: int) -> dict[str, Score]:
        """Scores with bootstrap intervals over units."""
        intervals = percentile_interval(
            np.stack(list(self.units.values())), self.named, level=level, resamples=resamples, seed=seed
        )
        return {name: Score(value, *intervals[name]) for name, value in self.named(self.total).items()}
