"""Effects of units over folds of images: each is told by fits that never saw its image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from swath.causal.chip_net import ChipNet, NetTraining, net_values, train_chip_net
from swath.causal.cluster_fits import ClusterTraining, draw_posterior, fit_clusters
from swath.causal.effect_clusters import ClusterOptions, EffectClusters
from swath.causal.effect_learners import LEARNERS, ForestEffect, Residuals, RidgeEffect
from swath.causal.estimators import doubly_robust_scores
from swath.causal.folds import FoldFits, image_folds, rests
from swath.causal.outcome_models import outcome_surfaces
from swath.causal.units import Units

Learner = Literal["ridge", "forest", "network", "clusters"]
Model = RidgeEffect | ForestEffect | ChipNet | EffectClusters

#: Folds of images within which outcomes are expected while a fit learns.
_INNER = 3


@dataclass(frozen=True)
class Plan:
    """How effects are learned.

    Attributes:
        learner: `ridge` or `forest` on columns; from pixels `network`, by the same loss, or `clusters`, as in
            `swath.causal.effect_clusters`.
        encoder: Makes the image encoder of those from pixels.
        width: Number of its features.
        training: Of those from pixels.
    """

    learner: Learner
    encoder: Callable[[], nn.Module]
    width: int
    training: NetTraining


@dataclass(frozen=True)
class HeldOut:
    """What fits that never saw a unit's image say of it, `[units]` each.

    Attributes:
        effect: Expected.
        sd: Standard error of `effect`, from how fits to parts of the images differ; NaN of a single fit.
        priority: By which units are ranked: the effect less the mean effect of the same fit, since that one fit tells
            more of everyone than another does not make its units more urgent.
    """

    effect: np.ndarray
    sd: np.ndarray
    priority: np.ndarray


def fit_effects(units: Units, columns: np.ndarray, plan: Plan, fold_of: np.ndarray, seed: int) -> FoldFits[Model]:
    """Fit to the rest of each fold, in each reshuffle.

    Args:
        units: With no images but their own, standardised.
        columns: `[units, columns]`, from which outcomes are expected and `ridge` and `forest` learn.
        plan: How.
        fold_of: Fold of each image, `[reshuffles, images]`.
        seed: Of the first fit; each further has the next.

    Raises:
        DataError: If the rest of a fold cannot be fitted to.
    """
    chosen = [rest[units.image_of] for rest in rests(fold_of)]
    models = [fit_effect(units.select(rest), columns[rest], plan, seed + n) for n, rest in enumerate(chosen)]
    order = np.argsort(units.keys)
    return FoldFits(models, units.keys[order], fold_of[:, order])


def fit_effect(units: Units, columns: np.ndarray, plan: Plan, seed: int) -> Model:
    """One fit, to all units given."""
    if plan.learner == "clusters":
        training = ClusterTraining(plan.training.epochs, plan.training.batch, plan.training.learning_rate)
        return fit_clusters(plan.encoder, plan.width, units, ClusterOptions(), training, seed)
    left = residuals(units, columns, seed)
    if plan.learner == "network":
        return _network(units, left, plan, seed)
    return LEARNERS[plan.learner].fitted(columns, left, units.image_of, seed)


def residuals(units: Units, columns: np.ndarray, seed: int) -> Residuals:
    """Outcomes and treatments less their expectations, those of outcomes by ridge regressions over folds of images."""
    treatment, outcome = units.studied()
    chance = units.chances()
    _, images = np.unique(units.image_of, return_inverse=True)
    fold = image_folds(int(images.max()) + 1, _INNER, seed)[images]
    without, treated = outcome_surfaces(columns, treatment, outcome, fold)
    return Residuals(outcome - (1 - chance) * without - chance * treated, treatment - chance)


def effects_by(model: Model, units: Units, columns: np.ndarray) -> np.ndarray:
    """Effect of each unit, by one fit."""
    if isinstance(model, ChipNet):
        return net_values(model, units)
    if isinstance(model, EffectClusters):
        return draw_posterior(model, units.images).effect.mean(axis=0)[units.image_of]
    return model.predict(columns)


def unseen_effects(fits: FoldFits[Model], units: Units, columns: np.ndarray) -> HeldOut:
    """Effects of units: of those that were fitted to, by the fits that never saw their image; of others, by all.

    A fit learns from the share `(folds - 1) / folds` of the images. Such fits vary about the fit to all by its own
    variance over `folds - 1`, from which its standard error follows (the delete-d jackknife of Shao & Wu 1989).

    Raises:
        DataError: If some of the images were fitted to and others were not.
    """
    return held_out(fits, np.stack([effects_by(model, units, columns) for model in fits.models]), units)


def held_out(fits: FoldFits[Any], every: np.ndarray, units: Units) -> HeldOut:
    """As `unseen_effects`, of the effect of each unit by each fit, `[fits, units]`."""
    fit_of, at = fits.unseen(units.keys)[:, units.image_of], np.arange(len(units))
    away = every - every.mean(axis=1, keepdims=True)
    away[np.abs(away) < 1e-9 * np.abs(every).max()] = 0.0  # what differs by rounding alone has one priority
    told, away = every[fit_of, at], away[fit_of, at]
    error = np.full(len(units), np.nan)
    if len(told) > 1:
        error = told.std(axis=0, ddof=1) * np.sqrt(fits.folds - 1)
    return HeldOut(told.mean(axis=0), error, away.mean(axis=0))


def held_out_scores(units: Units, columns: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Doubly robust scores of units, outcomes expected from the other folds, averaged over reshuffles."""
    treatment, outcome = units.studied()
    surfaces = [outcome_surfaces(columns, treatment, outcome, fold) for fold in fold_of[:, units.image_of]]
    without, treated = np.mean(surfaces, axis=0)
    return doubly_robust_scores(outcome, treatment, units.chances(), without, treated)


def _network(units: Units, left: Residuals, plan: Plan, seed: int) -> ChipNet:
    scale = float(left.outcome.std()) or 1.0
    outcome = torch.from_numpy(left.outcome / scale).float()
    treatment = torch.from_numpy(left.treatment).float()

    def loss(effect: Tensor, unit: np.ndarray) -> Tensor:
        return ((outcome[unit] - treatment[unit] * effect) ** 2).mean()

    start = float(left.weights @ left.targets / left.weights.sum()) / scale
    net = train_chip_net(plan.encoder, plan.width, units, loss, plan.training, seed, start)
    last = net.head[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():  # from standard deviations to the unit of the outcome
        for part in (last.weight, last.bias, net.shift):
            part.mul_(scale)
    return net
