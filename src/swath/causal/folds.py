"""Folds of images: units that share an image are never taken apart, and no image is told by a fit that saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from swath.errors import DataError

Model = TypeVar("Model")


def image_folds(count: int, folds: int, seed: int) -> np.ndarray:
    """Fold of each of `count` images, equal in size but for one.

    Raises:
        DataError: If there are fewer images than folds.
    """
    return reshuffled_folds(count, folds, 1, seed)[0]


def reshuffled_folds(count: int, folds: int, reshuffles: int, seed: int) -> np.ndarray:
    """Fold of each image in each reshuffle, `[reshuffles, count]`, as `image_folds`.

    Raises:
        DataError: If there are fewer images than folds.
    """
    if count < folds:
        raise DataError("There are fewer images than folds", got=f"{count} and {folds}")
    random = np.random.default_rng(seed)
    return np.stack([random.permutation(np.arange(count) * folds // count) for _ in range(reshuffles)])


def rests(fold_of: np.ndarray) -> list[np.ndarray]:
    """Which images are outside each fold of each reshuffle, in the order of `FoldFits.models`, `[images]` each."""
    return [fold != number for fold in fold_of for number in range(int(fold.max()) + 1)]


@dataclass(frozen=True)
class FoldFits(Generic[Model]):
    """Fits to the rest of the images of each fold.

    Attributes:
        models: Of each fold of each reshuffle, in order.
        keys: Of the images that were divided, sorted.
        fold_of: Fold of each key in each reshuffle, `[reshuffles, keys]`.
    """

    models: Sequence[Model]
    keys: np.ndarray
    fold_of: np.ndarray

    @property
    def folds(self) -> int:
        """How many folds a reshuffle has."""
        return len(self.models) // len(self.fold_of)

    def unseen(self, keys: np.ndarray) -> np.ndarray:
        """Number of each fit that did not see an image, `[fits, images]`: one a reshuffle, or all of other images.

        Raises:
            DataError: If some of the images were fitted to and others were not.
        """
        known = np.isin(keys, self.keys)
        if known.any() and not known.all():
            raise DataError(
                "Some images belong to the trial that was fitted, others do not",
                got=f"{known.sum()} of {len(keys)}, first {keys[known][0]}",
                fix="Give the two apart",
            )
        if not known.any():
            return np.repeat(np.arange(len(self.models))[:, None], len(keys), axis=1)
        first_fit = np.arange(len(self.fold_of))[:, None] * self.folds
        return first_fit + self.fold_of[:, np.searchsorted(self.keys, keys)]
