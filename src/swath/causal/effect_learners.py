"""Whose effect is larger: regressions of residuals on residuals, from columns that tell of a unit.

The R-learner (Nie & Wager 2021): with outcomes `y`, expected outcomes `m(x)` and chances of treatment `e`, the effect
`t(x)` minimises the sum of `(y - m - (w - e) t(x))^2`, which is a regression of `(y - m) / (w - e)` with weights
`(w - e)^2`. In a trial `e` is known, so no error of `m` makes an effect where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Protocol, Self

import numpy as np
import torch
from sklearn.ensemble import RandomForestRegressor
from torch import Tensor

from swath.causal.folds import image_folds

#: Ridges that are tried, in units of the mean weight, and folds of images in which they are compared.
_RIDGES, _INNER = np.logspace(0, 6, 13), 5


@dataclass(frozen=True)
class Residuals:
    """What is left of outcome and treatment once their expectations are taken off, `[units]` each."""

    outcome: np.ndarray
    treatment: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Of units in the regression."""
        return self.treatment**2

    @property
    def targets(self) -> np.ndarray:
        """What is regressed."""
        return self.outcome / self.treatment


class Learner(Protocol):
    """An effect as a function of columns, whose arrays can be saved."""

    @classmethod
    def fitted(cls, columns: np.ndarray, residuals: Residuals, image_of: np.ndarray, seed: int) -> Self:
        """From columns `[units, columns]`; units of one image are in one fold where folds are used."""
        ...

    def predict(self, columns: np.ndarray) -> np.ndarray:
        """Effect of each unit."""
        ...


@dataclass(frozen=True)
class RidgeEffect:
    """A linear effect with a ridge on its slopes, chosen by the R-loss over folds of images.

    Attributes:
        centre: Of each column.
        spread: Of each column; 1 where it is constant.
        slopes: Of the standardised columns.
        mean: Effect where all columns are at their centre, `[1]`.
    """

    centre: np.ndarray
    spread: np.ndarray
    slopes: np.ndarray
    mean: np.ndarray

    @classmethod
    def fitted(cls, columns: np.ndarray, residuals: Residuals, image_of: np.ndarray, seed: int) -> Self:
        """As `Learner.fitted`."""
        weights, targets = residuals.weights, residuals.targets
        centre = np.average(columns, axis=0, weights=weights)
        spread = np.sqrt(np.average((columns - centre) ** 2, axis=0, weights=weights))
        spread = np.where(spread > 1e-12, spread, 1.0)
        standard = (columns - centre) / spread
        _, images = np.unique(image_of, return_inverse=True)
        fold = image_folds(int(images.max()) + 1, min(_INNER, int(images.max()) + 1), seed)[images]
        losses = np.zeros(len(_RIDGES))
        for number in range(fold.max() + 1):
            rest = fold != number
            slopes, means = _ridges(standard[rest], targets[rest], weights[rest], _RIDGES)
            told = standard[~rest] @ slopes + means
            losses += weights[~rest] @ (targets[~rest, None] - told) ** 2
        slopes, means = _ridges(standard, targets, weights, _RIDGES[[losses.argmin()]])
        return cls(centre, spread, slopes[:, 0], means)

    def predict(self, columns: np.ndarray) -> np.ndarray:
        """Effect of each unit."""
        return (columns - self.centre) / self.spread @ self.slopes + self.mean


@dataclass(frozen=True)
class ForestEffect:
    """Regression trees grown on random halves of units, averaged; all trees in arrays, one after the other.

    Attributes:
        roots: Number of the first node of each tree.
        left: Node to the left of each node; -1 of leaves.
        right: Node to the right.
        column: Column that a node asks for.
        threshold: At most which units go left.
        value: Effect of each node.
    """

    roots: np.ndarray
    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    value: np.ndarray

    @classmethod
    def fitted(cls, columns: np.ndarray, residuals: Residuals, image_of: np.ndarray, seed: int) -> Self:  # noqa: ARG003
        """As `Learner.fitted`; leaves hold at least 10 units, as many as 2 % of all where those are more."""
        model = RandomForestRegressor(
            100,
            min_samples_leaf=max(10, len(columns) // 50),
            max_features=1 / 3,
            max_samples=len(columns) // 2,
            random_state=seed,
        )
        model.fit(columns, residuals.targets, residuals.weights)
        trees = [tree.tree_ for tree in model.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]

        def nodes(name: str) -> np.ndarray:
            found = [getattr(tree, name) for tree in trees]
            return np.concatenate([np.where(f < 0, -1, f + root) for f, root in zip(found, roots, strict=True)])

        return cls(
            roots,
            nodes("children_left"),
            nodes("children_right"),
            np.concatenate([np.maximum(tree.feature, 0) for tree in trees]),
            np.concatenate([tree.threshold for tree in trees]),
            np.concatenate([tree.value[:, 0, 0] for tree in trees]),
        )

    def predict(self, columns: np.ndarray) -> np.ndarray:
        """Effect of each unit."""
        seen = columns.astype(np.float32)  # trees compare single precision, as they were grown
        node = np.repeat(self.roots[:, None], len(columns), axis=1)
        at = np.arange(len(columns))
        while (inner := self.left[node] >= 0).any():
            goes_left = seen[at, self.column[node]] <= self.threshold[node]
            node = np.where(inner, np.where(goes_left, self.left[node], self.right[node]), node)
        return self.value[node].mean(axis=0)


#: Learners by name.
LEARNERS: Mapping[str, type[RidgeEffect] | type[ForestEffect]] = {"ridge": RidgeEffect, "forest": ForestEffect}


def state_of(learner: RidgeEffect | ForestEffect) -> dict[str, Tensor]:
    """All that was learned, by name."""
    return {f.name: torch.from_numpy(np.ascontiguousarray(getattr(learner, f.name))) for f in fields(learner)}


def of_state(kind: str, state: Mapping[str, Tensor]) -> RidgeEffect | ForestEffect:
    """What `state_of` told, of the learner named `kind`."""
    learner = LEARNERS[kind]
    return learner(*(state[f.name].numpy() for f in fields(learner)))


def _ridges(
    standard: np.ndarray, targets: np.ndarray, weights: np.ndarray, ridges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes `[columns, ridges]` and means `[ridges]` of weighted ridge regressions; the mean is not shrunk."""
    middle, mean = np.average(standard, axis=0, weights=weights), np.average(targets, weights=weights)
    root = np.sqrt(weights)
    u, s, v = np.linalg.svd(root[:, None] * (standard - middle), full_matrices=False)
    shrunk = s[:, None] / (s[:, None] ** 2 + weights.mean() * ridges)
    slopes = v.T @ (shrunk * (u.T @ (root * (targets - mean)))[:, None])
    return slopes, mean - middle @ slopes
