"""What outcome is expected of a unit without and with treatment, by models that never saw its image."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV

from swath.errors import DataError

#: Ridges that are tried.
_RIDGES = np.logspace(-1, 4, 11)


def outcome_surfaces(
    columns: np.ndarray, treatment: np.ndarray, outcome: np.ndarray, fold: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Expected outcome of each unit without and with treatment, by ridge regressions on each arm of the other folds."""
    centre, spread = columns.mean(axis=0), columns.std(axis=0)
    standard = (columns - centre) / np.where(spread > 1e-12, spread, 1.0)
    told = np.empty((2, len(outcome)))
    for number in np.unique(fold):
        for arm in (0, 1):
            learned = (fold != number) & (treatment == arm)
            if not learned.any():
                raise DataError("A fold leaves no unit of an arm to learn from", fix="Use fewer folds")
            model = RidgeCV(_RIDGES).fit(standard[learned], outcome[learned])
            told[arm, fold == number] = model.predict(standard[fold == number])
    return told[0], told[1]
