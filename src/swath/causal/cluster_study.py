"""Image effect clusters over folds: what an image's units are expected to gain, by fits that never saw it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn

from swath.causal.cluster_fits import ClusterTraining, Posterior, draw_posterior, fit_clusters
from swath.causal.effect_clusters import ClusterOptions, EffectClusters
from swath.causal.estimators import Estimate, interval
from swath.causal.folds import FoldFits
from swath.causal.units import Units


@dataclass(frozen=True)
class CrossFit(FoldFits[EffectClusters]):
    """Fits of image effect clusters to the rest of the images of each fold."""

    def posterior(self, keys: np.ndarray, images: np.ndarray, draws: int = 50, seed: int = 0) -> Posterior:
        """Posterior of images: of those that were fitted to, from the fits that never saw them; of others, from all.

        Args:
            keys: Of the images.
            images: `[images, frames, bands, height, width]`.
            draws: Of each fit.
            seed: Of the draws.

        Returns:
            Draws, reshuffle after reshuffle; those of clusters are of all fits.

        Raises:
            DataError: If some of the images were fitted to and others were not.
        """
        fit_of = self.unseen(keys)
        fits = [draw_posterior(model, images, draws, seed + number) for number, model in enumerate(self.models)]
        base, effect, probabilities = (
            _picked(np.stack([getattr(fit, name) for fit in fits]), fit_of)
            for name in ("base", "effect", "probabilities")
        )
        effects, variances = (np.concatenate([getattr(f, name) for f in fits]) for name in ("effects", "variances"))
        return Posterior(base, effect, probabilities, effects, variances)


def cross_fit(
    encoder: Callable[[], nn.Module],
    width: int,
    units: Units,
    fold_of: np.ndarray,
    options: ClusterOptions,
    training: ClusterTraining | None = None,
    seed: int = 0,
) -> CrossFit:
    """Fit to the rest of each fold, in each reshuffle.

    Args:
        encoder: Makes the network from `[images, frames, bands, height, width]` to `[images, width]`.
        width: Number of its features.
        units: With treatment and outcome.
        fold_of: Fold of each of the images that have units, in the order of their index, `[reshuffles, images]`.
        options: Of the model.
        training: How.
        seed: Of the first fit; each further has the next.

    Raises:
        DataError: If the rest of a fold cannot be fitted to.
    """
    used, place = np.unique(units.image_of, return_inverse=True)
    models = [
        fit_clusters(encoder, width, units.select(folds[place] != fold), options, training, seed + number)
        for number, (folds, fold) in enumerate((folds, fold) for folds in fold_of for fold in range(folds.max() + 1))
    ]
    order = np.argsort(units.keys[used])
    return CrossFit(models, units.keys[used][order], fold_of[:, order])


def cluster_effects(
    scores: np.ndarray, probabilities: np.ndarray, groups: np.ndarray, level: float = 0.9
) -> list[Estimate] | None:
    """Effects of clusters from units that the fits did not see: least squares of scores on probabilities.

    A check of the model's own effects, which are of the images it was fitted to. None where no image tells the
    clusters apart; wide intervals where hardly any does.

    Args:
        scores: Doubly robust, of each unit; see `swath.causal.estimators.doubly_robust_scores`.
        probabilities: Of each unit's image, by fits that never saw it, `[units, clusters]`.
        groups: Within which units are not independent.
        level: Of the intervals.
    """
    if np.linalg.matrix_rank(probabilities) < probabilities.shape[1]:
        return None
    values, covariance = clustered_least_squares(scores, probabilities, groups)
    return [interval(float(v), float(e), level) for v, e in zip(values, np.sqrt(np.diag(covariance)), strict=True)]


def calibration(scores: np.ndarray, effect: np.ndarray, groups: np.ndarray, level: float = 0.9) -> Estimate | None:
    """Slope of scores on predicted effects: 1 where predictions hold, 0 where they tell nothing.

    The heterogeneity part of the best linear predictor of Chernozhukov et al. (2018); None where all predictions are
    equal.
    """
    away = effect - effect.mean()
    if not away.std() > 1e-9 * max(1.0, abs(effect.mean())):
        return None
    values, covariance = clustered_least_squares(scores, np.stack([np.ones_like(away), away], axis=1), groups)
    return interval(float(values[1]), float(np.sqrt(covariance[1, 1])), level)


def clustered_least_squares(
    outcome: np.ndarray, design: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of least squares, and their covariance with errors that correlate within groups.

    The sandwich of Liang & Zeger (1986) with the usual correction for few groups and degrees of freedom.
    """
    count, columns = design.shape
    inverse = np.linalg.pinv(design.T @ design, hermitian=True)  # covariates may repeat one another
    values = inverse @ design.T @ outcome
    _, codes = np.unique(groups, return_inverse=True)
    sums = np.zeros((codes.max() + 1, columns))
    np.add.at(sums, codes, design * (outcome - design @ values)[:, None])
    correction = len(sums) / max(len(sums) - 1, 1) * (count - 1) / max(count - columns, 1)
    return values, correction * inverse @ (sums.T @ sums) @ inverse


def _picked(stacked: np.ndarray, fit_of: np.ndarray) -> np.ndarray:
    """`[fits, draws, images, ...]` to `[picked fits x draws, images, ...]`."""
    chosen = np.moveaxis(stacked[fit_of, :, np.arange(fit_of.shape[1])], 2, 1)
    return chosen.reshape(-1, *chosen.shape[2:])
