"""A rule of thumb for crops: when their vegetation index is highest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

if TYPE_CHECKING:
    from swath.sensors.bands import Bands

#: Bands of the vegetation index, by name or alias.
_NDVI = ("red", "nir")


class PeakRule(ClassifierMixin, BaseEstimator):
    """The commonest class of training among those whose vegetation index peaks at the same step.

    Where there is a red and a near infrared band (of means), the index is NDVI; else it is the first number of a step.
    A step at which nothing peaked in training gives the commonest class.

    Args:
        steps: Length of the sequences.
        features: What the numbers of a step are.
    """

    def __init__(self, steps: int, features: Bands) -> None:
        self.steps, self.features = steps, features

    def fit(self, sequences: np.ndarray, classes: np.ndarray) -> PeakRule:
        """Count classes by the step of the peak; `sequences` are `[N, steps * features]`, `classes` `[N]`."""
        counts = np.zeros((self.steps, classes.max() + 1), np.int64)
        np.add.at(counts, (self._peaks(sequences), classes), 1)
        self.table_ = np.where(counts.any(1), counts.argmax(1), counts.sum(0).argmax())
        return self

    def predict(self, sequences: np.ndarray) -> np.ndarray:
        """Class of each sequence `[N]`."""
        return self.table_[self._peaks(sequences)]

    def _peaks(self, sequences: np.ndarray) -> np.ndarray:
        values = sequences.reshape(len(sequences), self.steps, -1)
        called = [next((n for n, band in enumerate(self.features) if band.called(name)), None) for name in _NDVI]
        if None in called:
            return np.asarray(values[..., 0].argmax(1))
        red, nir = (values[..., place] for place in called)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.nan_to_num((nir - red) / (nir + red), nan=-np.inf).argmax(1))
